module github.com/logstreamer/logstreamer/test/clients

go 1.26.0

replace github.com/logstreamer/logstreamer => ../..

require github.com/logstreamer/logstreamer v0.0.0-00010101000000-000000000000
