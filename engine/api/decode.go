package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// mediaTypes that bodies may have. Protobuf is not decoded here.
const supportedMedia = "application/json, application/yaml, application/vnd.kubernetes.protobuf"

// bodyJSON returns the body as JSON, and what strict reading of YAML found.
func (x *exchange) bodyJSON() ([]byte, []error, error) {
	kind := x.r.Header.Get("Content-Type")
	media := jsonType
	if kind != "" {
		m, _, err := mime.ParseMediaType(kind)
		if err != nil {
			m = kind
		}
		media = m
	}
	switch media {
	case jsonType:
		return x.r.Body, nil, nil
	case "application/yaml":
		var strict []error
		if _, err := yaml.YAMLToJSONStrict(x.r.Body); err != nil {
			strict = append(strict, err)
		}
		b, err := yaml.YAMLToJSON(x.r.Body)
		if err != nil {
			return nil, nil, apierrors.NewBadRequest("error converting YAML to JSON: " + err.Error())
		}
		return b, strict, nil
	}
	return nil, nil, unsupportedMedia("the body of the request was in an unknown format - accepted media types include: " + supportedMedia)
}

func unsupportedMedia(message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: 415, Reason: metav1.StatusReasonUnsupportedMediaType, Message: message, Details: &metav1.StatusDetails{}}}
}

// strictness of ?fieldValidation=.
func (x *exchange) strictness() string {
	if !era.FieldValidation.In(x.s.era) {
		return "Ignore"
	}
	switch v := x.query.Get("fieldValidation"); v {
	case "Strict", "Ignore":
		return v
	}
	return "Warn"
}

// decode reads the body into an object of the wanted kind. What it says about a
// bad one are the words of apimachinery's codecs (golden e1/04, 36, 39, 40, 46, 47).
func (x *exchange) decode(want schema.GroupVersionKind, into any) error {
	data, strict, err := x.bodyJSON()
	if err != nil {
		return err
	}
	return x.decodeJSON(data, strict, want, into)
}

func (x *exchange) decodeJSON(data []byte, strict []error, want schema.GroupVersionKind, into any) error {
	unrecognized := func(err error) error {
		return apierrors.NewBadRequest(fmt.Sprintf("the object provided is unrecognized (must be of type %s): couldn't get version/kind; json parse error: %v (%s)", want.Kind, err, summary(x.r.Body)))
	}
	var meta metav1.TypeMeta
	usual := asWritten(data, want)
	if !usual {
		if err := json.Unmarshal(data, &meta); err != nil {
			return unrecognized(err)
		}
	}
	got := want
	if meta.Kind != "" {
		got.Kind = meta.Kind
	}
	if meta.APIVersion != "" {
		gv, err := schema.ParseGroupVersion(meta.APIVersion)
		if err != nil {
			return unrecognized(err)
		}
		got.Group, got.Version = gv.Group, gv.Version
	}
	bad := func(why any) error {
		return apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: %v", got.Kind, got.Version, want.Kind, why))
	}
	if !x.s.catalog.kinds[got] {
		why := fmt.Sprintf("no kind %q is registered for version %q", got.Kind, got.GroupVersion())
		if scheme := era.SchemeName.In(x.s.era); scheme != "" {
			why += fmt.Sprintf(" in scheme %q", scheme)
		}
		return bad(why)
	}
	if got.Group != want.Group || got.Version != want.Version {
		return apierrors.NewBadRequest(fmt.Sprintf("the API version in the data (%s) does not match the expected API version (%s)", got.GroupVersion(), want.GroupVersion()))
	}
	if got.Kind != want.Kind {
		return bad(fmt.Sprintf("converting (v1.%s) to (%s.%s): unknown conversion", got.Kind, groupWord(want.Group), want.Kind))
	}
	if usual && want.Version == "v1" {
		if recalled(into, sim.Recall(data, into)) {
			return nil
		}
	}
	more, err := kjson.UnmarshalStrict(x.known(data, want), into)
	if err != nil {
		if broken := json.Unmarshal(data, &meta); usual && broken != nil {
			return unrecognized(broken)
		}
		return bad(decodeError(x.s.era, want.Kind, data, err))
	}
	strict = append(strict, more...)
	if len(strict) == 0 {
		return nil
	}
	switch x.strictness() {
	case "Strict":
		return bad(runtime.NewStrictDecodingError(strict))
	case "Warn":
		for _, e := range strict {
			x.warn(e.Error())
		}
	}
	return nil
}

// recalled copies what a body was written from, for the kinds of which a cluster
// writes many. They are named because a copy by way of runtime.Object would keep the
// copying of all kinds in the page's program, 300 kB of it.
func recalled(into, from any) bool {
	switch from := from.(type) {
	case *corev1.Node:
		from.DeepCopyInto(into.(*corev1.Node))
	case *corev1.Event:
		from.DeepCopyInto(into.(*corev1.Event))
	case *coordinationv1.Lease:
		from.DeepCopyInto(into.(*coordinationv1.Lease))
	case *storagev1.CSINode:
		from.DeepCopyInto(into.(*storagev1.CSINode))
	case *certificatesv1.CertificateSigningRequest:
		from.DeepCopyInto(into.(*certificatesv1.CertificateSigningRequest))
	case *authorizationv1.SubjectAccessReview:
		from.DeepCopyInto(into.(*authorizationv1.SubjectAccessReview))
	case *authenticationv1.TokenReview:
		from.DeepCopyInto(into.(*authenticationv1.TokenReview))
	default:
		return false
	}
	return true
}

// known is a body without the fields that the release does not know.
func (x *exchange) known(data []byte, want schema.GroupVersionKind) []byte {
	if want.Group == "authorization.k8s.io" && want.Version == "v1beta1" {
		return groupsOf(data, `"group":[`, `"groups":[`)
	}
	r := x.s.catalog.of[x.info.resource]
	if r == nil || len(r.unknown) == 0 || r.Kind != want.Kind {
		return data
	}
	var compact bytes.Buffer
	if json.Compact(&compact, data) != nil {
		return data
	}
	return without(compact.Bytes(), r.unknown)
}

// asWritten reports whether data begins with its kind and version as clients
// in Go write them, and names them nowhere else: then nothing is left to find out.
func asWritten(data []byte, want schema.GroupVersionKind) bool {
	head := `{"kind":"` + want.Kind + `","apiVersion":"` + want.GroupVersion().String() + `"`
	return bytes.HasPrefix(data, []byte(head)) && bytes.Count(data, []byte(`"kind"`)) == 1 && bytes.Count(data, []byte(`"apiVersion"`)) == 1
}

// groupWord is the name of a group's internal package: "certificates", "core".
func groupWord(group string) string {
	word, _, _ := strings.Cut(group, ".")
	if word == "" {
		return "core"
	}
	return word
}

// summary shows the beginning of a body in an error.
func summary(b []byte) string {
	const most = 30
	switch {
	case len(b) == 0:
		return "<empty>"
	case b[0] == '{' && len(b) > most:
		return string(b[:most]) + " ..."
	case b[0] == '{':
		return string(b)
	case len(b) > most:
		return fmt.Sprintf("%x ...", b[:most])
	}
	return fmt.Sprintf("%x", b)
}

// warn adds a Warning header to the answer.
func (x *exchange) warn(message string) {
	if era.Warnings.In(x.s.era) {
		x.warnings = append(x.warnings, warning(message))
	}
}

// warning is the value of a Warning header.
func warning(message string) string {
	b, _ := json.Marshal(message)
	return "299 - " + string(bytes.ReplaceAll(b, []byte(`\u003c`), []byte("<")))
}
