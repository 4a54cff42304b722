package api

import (
	"testing"

	"github.com/stretchr/testify/require"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
)

func TestColumnsOfRequestsHaveTheWordsOfV1beta1(t *testing.T) {
	spec, status := certificatesv1beta1.CertificateSigningRequestSpec{}.SwaggerDoc(), certificatesv1beta1.CertificateSigningRequestStatus{}.SwaggerDoc()
	require.Equal(t, map[string]string{
		"signerName": spec["signerName"], "request": spec["request"], "expirationSeconds": spec["expirationSeconds"],
		"conditions": status["conditions"],
	}, csrDocs)
}
