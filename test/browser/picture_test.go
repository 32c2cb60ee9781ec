package browser

import (
	"bytes"
	"cmp"
	"flag"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

var update = flag.Bool("update", false, "write the pictures in docs/console")

// maxPictureBytes bounds a picture of the documentation.
const maxPictureBytes = 100_000

// picture writes a picture of the window, with -update.
func (b *tab) picture(name string) {
	b.Helper()
	if !*update {
		return
	}
	shot, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	b.must(err)
	full, err := png.Decode(bytes.NewReader(shot))
	b.must(err)
	var small bytes.Buffer
	b.must((&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, paletted(full)))
	if small.Len() > maxPictureBytes {
		b.Errorf("%s has %d bytes: more than %d", name, small.Len(), maxPictureBytes)
	}
	dir := filepath.Join("..", "..", "docs", "console")
	b.must(os.MkdirAll(dir, 0o755))
	b.must(os.WriteFile(filepath.Join(dir, name+".png"), small.Bytes(), 0o644))
}

// paletted returns a picture with its most frequent colours; pages have few.
func paletted(full image.Image) *image.Paletted {
	area, counts := full.Bounds(), make(map[color.RGBA]int)
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(full.At(x, y)).(color.RGBA) }
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			c := at(x, y)
			c.R, c.G, c.B = c.R&^3, c.G&^3, c.B&^3
			counts[c]++
		}
	}
	frequent := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int { return cmp.Compare(counts[b], counts[a]) })
	palette, indexes := color.Palette{}, make(map[color.RGBA]uint8)
	for _, c := range frequent[:min(len(frequent), 256)] {
		palette = append(palette, c)
	}
	result := image.NewPaletted(area, palette)
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			c := at(x, y)
			index, known := indexes[c]
			if !known {
				index = uint8(palette.Index(c))
				indexes[c] = index
			}
			result.SetColorIndex(x, y, index)
		}
	}
	return result
}

// Each picture of the documentation is listed in its README with the state that it shows, and each
// listed picture exists.
func TestPicturesAreListed(t *testing.T) {
	dir := filepath.Join("..", "..", "docs", "console")
	text, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, found := range regexp.MustCompile(`\]\(([a-z-]+\.png)\)`).FindAllStringSubmatch(string(text), -1) {
		listed[found[1]] = true
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.png"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if name := filepath.Base(path); !listed[name] {
			t.Errorf("%s is not listed", name)
		}
		delete(listed, filepath.Base(path))
	}
	for name := range listed {
		t.Errorf("%s is listed, and not there", name)
	}
}
