package distributor

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Packages import only packages that are later on the path of a packet.
func TestImports(t *testing.T) {
	const internal, fasthttp = "github.com/logstreamer/logstreamer/internal/", "github.com/valyala/fasthttp"
	forbidden := map[string][]string{
		internal + "adminapi":         {internal + "admin", internal + "control", internal + "distributor", internal + "packet"},
		internal + "adminclient":      {internal + "admin", internal + "control", internal + "distributor", internal + "packet"},
		internal + "packet":           {internal + "journal", "net/http"},
		internal + "fairshare":        {internal + "packet", internal + "router"},
		internal + "http1":            {internal + "packet", internal + "problem"},
		internal + "server":           {internal + "packet", internal + "journal", internal + "intake", internal + "problem", internal + "protocol/native"},
		internal + "server/eventloop": {internal + "packet", internal + "journal", internal + "intake", internal + "problem", internal + "server"},
		internal + "intake":           {"net/http", internal + "http1", internal + "server", internal + "problem", internal + "router"},
		internal + "protocol/body":    {internal + "protocol/native", internal + "router"},
		internal + "simulate":         {internal + "distributor", internal + "server", internal + "intake"},
		internal + "protocol/record":  {internal + "server", internal + "router", "net/http"},
		internal + "protocol/native":  {internal + "router", internal + "upstream", fasthttp},
		internal + "protocol/otlp":    {internal + "router", internal + "upstream", fasthttp},
		internal + "journal/disk":     {internal + "intake", internal + "router"},
		internal + "router":           {internal + "adminapi", internal + "intake", internal + "server", internal + "http1", internal + "sink/transport"},
		internal + "upstream":         {internal + "journal", internal + "router", internal + "http1", internal + "sink/transport"},
		internal + "sink/native":      {internal + "upstream", internal + "router"},
		internal + "sink/httpsink":    {internal + "upstream", internal + "router"},
	}
	arguments := []string{"list", "-f", `{{.ImportPath}} {{join .Deps " "}}`}
	for of := range forbidden {
		arguments = append(arguments, of)
	}
	output, err := exec.Command("go", arguments...).Output()
	if err != nil {
		t.Fatal(err)
	}
	listed := 0
	for line := range strings.Lines(string(output)) {
		dependencies := strings.Fields(line)
		of := dependencies[0]
		listed++
		for _, name := range forbidden[of] {
			if slices.Contains(dependencies[1:], name) {
				t.Errorf("%s depends on %s", of, name)
			}
		}
	}
	if listed != len(forbidden) {
		t.Errorf("%d packages are listed, want %d", listed, len(forbidden))
	}
}
