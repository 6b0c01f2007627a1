// Package mask keeps values that nobody may be shown out of texts for people: messages, events, logs, diffs.
package mask

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// shortest is the length from which a value is hidden: shorter ones, such as "1" or "on", would tear ordinary words apart and protect
	// nothing.
	shortest = 4
	// window is the length from which a piece of a value is hidden where a text has cut or wrapped it.
	window = 16
	// Hidden is what is put in the place of a value.
	Hidden = "*****"
)

// Mask is the values to hide. The zero value hides nothing. It holds each value once; the forms in which it may show are worked out when
// a text is to be masked, which is when something failed. Add before you share it: after that it is safe for concurrent use.
type Mask struct {
	values []string
}

// Of returns a mask of values.
func Of(values ...string) Mask {
	var m Mask
	m.Add(values...)
	return m
}

// Add adds values.
func (m *Mask) Add(values ...string) {
	for _, v := range values {
		if len(strings.TrimSpace(v)) >= shortest {
			m.values = append(m.values, v)
		}
	}
	slices.Sort(m.values)
	m.values = slices.Compact(m.values)
}

// With returns a mask of both.
func (m Mask) With(o Mask) Mask {
	both := Mask{values: slices.Clone(m.values)}
	both.Add(o.values...)
	return both
}

// Empty tells whether nothing is hidden.
func (m Mask) Empty() bool { return len(m.values) == 0 }

// Hide replaces the values in a text, in whatever form they show, and pieces of them.
func (m Mask) Hide(text string) string {
	if m.Empty() || text == "" {
		return text
	}
	hidden := make([]bool, len(text)) // by byte, so that one value inside another one leaves nothing of either
	pieces := piecesOf(text)
	for _, v := range m.values {
		for _, f := range forms(v) {
			cover(text, f, hidden)
			coverPieces(f, pieces, hidden)
		}
	}
	return render(text, hidden)
}

// piecesOf are the places of all pieces of a text that are as long as the window.
func piecesOf(text string) map[string][]int {
	pieces := map[string][]int{}
	for i := 0; i+window <= len(text); i++ {
		pieces[text[i:i+window]] = append(pieces[text[i:i+window]], i)
	}
	return pieces
}

// cover marks where a form is in the text as a whole.
func cover(text, form string, hidden []bool) {
	for from := 0; len(form) <= len(text)-from; {
		i := strings.Index(text[from:], form)
		if i < 0 {
			return
		}
		for j := range len(form) {
			hidden[from+i+j] = true
		}
		from += i + 1
	}
}

// coverPieces marks where a piece of a form is in the text.
func coverPieces(form string, pieces map[string][]int, hidden []bool) {
	for i := 0; i+window <= len(form); i++ {
		for _, at := range pieces[form[i:i+window]] {
			for j := range window {
				hidden[at+j] = true
			}
		}
	}
}

func render(text string, hidden []bool) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case !hidden[i]:
			out.WriteByte(text[i])
		case i == 0 || !hidden[i-1]:
			out.WriteString(Hidden)
		}
	}
	return strings.ToValidUTF8(out.String(), "")
}

// forms are the texts in which a value may show: as it is, as it is substituted (without line ends), line by line, quoted, encoded as in
// a Secret's manifest, and decoded if that is what it is.
func forms(value string) []string {
	joined := strings.ReplaceAll(value, "\n", "")
	all := []string{value, joined, strings.TrimSpace(value), base64.StdEncoding.EncodeToString([]byte(value)), base64.StdEncoding.EncodeToString([]byte(joined))}
	all = append(all, strings.Split(value, "\n")...)
	if plain, err := base64.StdEncoding.DecodeString(joined); err == nil && utf8.Valid(plain) {
		all = append(all, string(plain), strings.TrimSpace(string(plain)))
		all = append(all, strings.Split(string(plain), "\n")...)
	}
	for _, text := range slices.Clone(all) {
		quoted := strconv.Quote(text)
		all = append(all, quoted[1:len(quoted)-1])
	}
	all = slices.DeleteFunc(all, func(text string) bool { return len(strings.TrimSpace(text)) < shortest })
	slices.Sort(all)
	return slices.Compact(all)
}
