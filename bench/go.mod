module github.com/logstreamer/logstreamer/bench

go 1.26.0

replace github.com/logstreamer/logstreamer => ..

require (
	github.com/HdrHistogram/hdrhistogram-go v1.4.0
	github.com/klauspost/compress v1.20.3
	github.com/logstreamer/logstreamer v0.0.0-00010101000000-000000000000
	go.uber.org/goleak v1.3.0
	golang.org/x/sys v0.49.0
	pgregory.net/rapid v1.3.0
)

require github.com/google/pprof v0.0.0-20261105003125-4bf881d7fb0b
