package packet

import "reflect"

// checkBoth checks a body with and without vector instructions, with equal results.
func checkBoth(t interface {
	Helper()
	Fatalf(format string, arguments ...any)
}, body []byte, maxMessages int) (Info, error) {
	t.Helper()
	info, err := check(body, maxMessages, false, false)
	if hasVectors {
		vectorInfo, vectorErr := check(body, maxMessages, false, true)
		if vectorInfo != info || !reflect.DeepEqual(vectorErr, err) {
			t.Fatalf("%q\nwith vectors    %+v, %v\nwithout vectors %+v, %v", body, vectorInfo, vectorErr, info, err)
		}
	}
	return info, err
}

// eachWay calls a test with a scanner of a body with and without vector
// instructions.
func eachWay(body []byte, test func(s *scanner)) {
	test(&scanner{body: body})
	if hasVectors {
		test(&scanner{body: body, marks: marks{vectors: true}})
	}
}
