package api

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/joinery-lab/joinery/engine/era"
)

// decodeError is what a release says of a body that it could not read into an
// object: of a request for a certificate whose bytes are no base64, in the words of
// the library that it reads JSON with.
func decodeError(e era.Era, kind string, data []byte, err error) error {
	words := era.Decoder.In(e)
	if words == "" || kind != "CertificateSigningRequest" || !strings.HasPrefix(err.Error(), "illegal base64 data") {
		return err
	}
	_, end, ok := textOf(data, "request")
	if !ok {
		return err
	}
	near := func(n int) string { return string(data[max(end-n, 0):min(end+n, len(data))]) }
	at := ""
	switch words {
	case "ugorji":
		value, _, _ := textOf(data, "request")
		return fmt.Errorf("[pos %d]: json: error decoding base64 binary '%s': %w", end, value, err)
	case "jsoniter":
		at = fmt.Sprintf("error found in #%d byte of ...|%s|..., bigger context ...|%s|...", min(end, 10), near(10), near(50))
	default:
		at = fmt.Sprintf("parsing %d ...%s... at %s", end, data[max(end-10, 0):end], data)
	}
	// The reader goes on with the next field, and puts its name before.
	next := ""
	if rest := bytes.TrimLeft(data[end:], ", \n\t"); bytes.HasPrefix(rest, []byte(`"usages"`)) {
		next = "Usages: []v1beta1.KeyUsage: "
	}
	return errors.New("v1beta1.CertificateSigningRequest.Spec: v1beta1.CertificateSigningRequestSpec." + next + "Request: decode base64: " + err.Error() + ", " + at)
}

// textOf is the text of a member of some name in JSON, and where it ends.
func textOf(data []byte, name string) (value string, end int, ok bool) {
	key := []byte(`"` + name + `"`)
	i := bytes.Index(data, key)
	if i < 0 {
		return "", 0, false
	}
	i += len(key)
	for i < len(data) && strings.IndexByte(": \n\t", data[i]) >= 0 {
		i++
	}
	if i >= len(data) || data[i] != '"' {
		return "", 0, false
	}
	n := bytes.IndexByte(data[i+1:], '"')
	if n < 0 {
		return "", 0, false
	}
	return string(data[i+1 : i+1+n]), i + n + 2, true
}
