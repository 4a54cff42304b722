package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReflectingFindsTheMark(t *testing.T) {
	require.Empty(t, reflecting(strings.NewReader("main.main -> fmt.Println\nfmt.Println -> os.Stdout\n")))
	require.Equal(t, "text/template.(*state).evalField",
		reflecting(strings.NewReader("main.main -> text/template.(*Template).Execute\ntext/template.(*state).evalField <UsedInIface><ReflectMethod> -> reflect.Value.MethodByName\n")))
}
