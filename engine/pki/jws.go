package pki

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
)

// DetachedJWS signs content with a bootstrap token: an HS256 JWS whose middle
// part, the content, is left out (RFC 7515, appendix F). The key is the token's
// secret, its ID the key's name. Models k8s.io/cluster-bootstrap/token/jws
// ComputeDetachedSignature; recorded in h/jws-facts.json.
//
// A detached signature is checked by making it again.
func DetachedJWS(content, tokenID, tokenSecret string) string {
	header, _ := json.Marshal(struct {
		Alg string `json:"alg"`
		Kid string `json:"kid"`
	}{"HS256", tokenID})
	b64 := base64.RawURLEncoding.EncodeToString
	mac := hmac.New(sha256.New, []byte(tokenSecret))
	mac.Write([]byte(b64(header) + "." + b64([]byte(content))))
	return b64(header) + ".." + b64(mac.Sum(nil))
}
