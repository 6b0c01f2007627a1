package kube

import (
	"strings"
	"testing"
)

func TestADocumentIsWeighedInWhateverPiecesItComes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text     string
		elements int64 // that are counted
		ends     int   // after so many bytes; 0: never
	}{
		"an object":         {`{"a":1,"b":[1,2]}rest`, 4, 17},
		"signs in a text":   {`{"a":"{[,,,]}"}`, 1, 15},
		"an escaped quote":  {`{"a":"\",,,"}`, 1, 13},
		"an escaped escape": {`{"a":"\\\\"},,,`, 1, 12},
		"nothing closed":    {`{"a":[[[`, 4, 0},
		"closed too often":  {`]]}{`, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for size := 1; size <= len(tc.text); size++ {
				var d document
				at, ended := 0, false
				for at < len(tc.text) && !ended {
					n, ends := d.read([]byte(tc.text[at:min(at+size, len(tc.text))]))
					at, ended = at+n, ends
				}
				if ended != (tc.ends > 0) || ended && at != tc.ends {
					t.Errorf("in pieces of %d it ends: %v, after %d", size, ended, at)
				}
				if want := int64(at) + tc.elements*element; d.weight != want {
					t.Errorf("in pieces of %d it weighs %d, want %d", size, d.weight, want)
				}
			}
		})
	}
}

func FuzzDocument(f *testing.F) {
	f.Add(`{"a":"\",,,"}`, 3)
	f.Fuzz(func(t *testing.T, text string, at int) {
		var whole, parts document
		n, ends := whole.read([]byte(text))
		at = max(0, min(at, len(text)))
		m, ended := parts.read([]byte(text[:at]))
		if !ended {
			var more int
			more, ended = parts.read([]byte(text[at:]))
			m += more
		}
		if n != m || ends != ended || whole != parts {
			t.Errorf("%q in two pieces at %d: %d %v %v, as a whole: %d %v %v", text, at, m, ended, parts, n, ends, whole)
		}
		if !strings.ContainsAny(text, "}]") && ends {
			t.Errorf("%q ends", text)
		}
	})
}
