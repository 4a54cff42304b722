package api

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTokenFile(t *testing.T) {
	read := func(text string) (tokens []tokenRecord, warned []string, err error) {
		tokens, err = readTokens("/t.csv", []byte(text), func(line int, w string) { warned = append(warned, fmt.Sprint(line, " ", w)) })
		return tokens, warned, err
	}
	tokens, warned, err := read("a,alice,1,dev\n,nobody,2\na,bob,3,\"dev,ops\",more\nb,carl,\n")
	require.NoError(t, err)
	require.Equal(t, []tokenRecord{{"a", "bob", "3", []string{"dev", "ops"}}, {"b", "carl", "", nil}}, tokens)
	require.Equal(t, []string{
		"70 empty token has been found in token file '/t.csv', record number '2'",
		"79 duplicate token has been found in token file '/t.csv', record number '3'",
	}, warned)
	_, _, err = read("a,alice\n")
	require.EqualError(t, err, "token file '/t.csv' must have at least 3 columns (token, user name, user uid), found 2")
	_, _, err = read("a,al\"ice,3\n")
	require.EqualError(t, err, `parse error on line 1, column 5: bare " in non-quoted-field`)
	_, _, err = read("")
	require.NoError(t, err)
}
