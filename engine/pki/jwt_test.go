package pki

import (
	"crypto"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestJWT: a token says who signed it, is the same each time, and is believed
// with the right key only.
func TestJWT(t *testing.T) {
	kr := Keyring{Seed: "jwt"}
	for alg, key := range map[string]crypto.Signer{"RS256": kr.RSA(0), "ES256": kr.ECDSA("sa")} {
		t.Run(alg, func(t *testing.T) {
			token, err := SignJWT(key, []byte(`{"iss":"me"}`))
			require.NoError(t, err)
			ForgetMemo()
			again, err := SignJWT(key, []byte(`{"iss":"me"}`))
			require.NoError(t, err)
			require.Equal(t, token, again)

			j, ok := ParseJWT(token)
			require.True(t, ok)
			kid, err := JWTKeyID(key.Public())
			require.NoError(t, err)
			require.Equal(t, kid, j.KeyID)
			require.Len(t, kid, 43)
			require.JSONEq(t, `{"iss":"me"}`, string(j.Claims))
			require.NoError(t, j.Verify(key.Public()))

			for _, other := range []crypto.Signer{kr.RSA(1), kr.ECDSA("other")} {
				require.EqualError(t, j.Verify(other.Public()), "go-jose/go-jose: error in cryptographic primitive")
			}
			parts := strings.Split(token, ".")
			parts[1] = b64.EncodeToString([]byte(`{"iss":"you"}`))
			forged, ok := ParseJWT(strings.Join(parts, "."))
			require.True(t, ok)
			require.Error(t, forged.Verify(key.Public()))
			// The algorithm is the key's, not what the header asks for.
			parts = strings.Split(token, ".")
			parts[0] = b64.EncodeToString([]byte(`{"alg":"none","kid":"` + kid + `"}`))
			forged, ok = ParseJWT(strings.Join(parts, "."))
			require.True(t, ok)
			require.Error(t, forged.Verify(key.Public()))
		})
	}
	for _, bad := range []string{"", "a.b", "a.b.c", "iiiiii.ssssssssssssssss", "{}"} {
		_, ok := ParseJWT(bad)
		require.False(t, ok, bad)
	}
}

func TestParsePublicKeys(t *testing.T) {
	kr := Keyring{Seed: "jwt"}
	pub, err := PublicKeyPEM(kr.RSA(0).Public())
	require.NoError(t, err)
	got, err := ParsePublicKeys(append(pub, KeyPEM(kr.ECDSA("sa"))...))
	require.NoError(t, err)
	require.Equal(t, []crypto.PublicKey{kr.RSA(0).Public(), kr.ECDSA("sa").Public()}, got)
	_, err = ParsePublicKeys([]byte("nothing"))
	require.EqualError(t, err, "data does not contain any valid RSA or ECDSA public keys")
}
