module github.com/logstreamer/logstreamer/test/clients

go 1.26.0

replace github.com/logstreamer/logstreamer => ../..

require github.com/logstreamer/logstreamer v0.0.0-00010101000000-000000000000

require (
	github.com/fluent/fluent-logger-golang v1.10.2
	github.com/philhofer/fwd v1.2.0 // indirect
	github.com/tinylib/msgp v1.3.0 // indirect
)
