module github.com/logstreamer/logstreamer/test/clients

go 1.26.0

replace github.com/logstreamer/logstreamer => ../..
