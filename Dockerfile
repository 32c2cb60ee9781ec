# One small image for every role: the command chooses it
# (distributor, analyzer, emitter, demo, check, …).
FROM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY cmd ./cmd
COPY internal ./internal
COPY docs ./docs
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/logstreamer ./cmd/logstreamer
RUN mkdir -p /out/data \
 && echo 'logstreamer:x:65532:65532::/:/sbin/nologin' > /out/passwd \
 && echo 'logstreamer:x:65532:' > /out/group

# Nothing but the binary, its user and the certificates that HTTPS analyzers need.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/passwd /out/group /etc/
COPY --from=build /out/logstreamer /logstreamer
COPY --from=build --chown=65532:65532 /out/data /data
ENV DATA_DIR=/data
VOLUME /data
USER 65532:65532
EXPOSE 8080 9100 9001
ENTRYPOINT ["/logstreamer"]
CMD ["distributor"]
