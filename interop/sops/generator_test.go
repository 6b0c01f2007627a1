package sops_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/slipway-dev/slipway/internal/build/sops"
)

// generator makes random files.
type generator struct{ *rand.Rand }

func (g generator) file(f sops.Format) string {
	switch f {
	case sops.YAML:
		var out strings.Builder
		for i := range 1 + g.IntN(3) {
			if i > 0 {
				out.WriteString("---\n")
			}
			if g.IntN(3) == 0 {
				fmt.Fprintf(&out, "# %s\n", g.word())
			}
			text, err := yaml.Marshal(g.mapping(0))
			if err != nil {
				panic(err)
			}
			out.Write(text)
			if g.IntN(3) == 0 {
				fmt.Fprintf(&out, "# %s\n", g.word())
			}
		}
		return out.String()
	case sops.JSON:
		text, err := json.Marshal(g.mapping(0))
		if err != nil {
			panic(err)
		}
		return string(text)
	case sops.Dotenv:
		var out strings.Builder
		for range 1 + g.IntN(6) {
			if g.IntN(4) == 0 {
				fmt.Fprintf(&out, "#%s\n", g.word())
			}
			fmt.Fprintf(&out, "%s=%s\n", g.word(), strings.ReplaceAll(g.text(), "\n", `\n`))
		}
		return out.String()
	case sops.INI:
		var out strings.Builder
		for i := range 1 + g.IntN(3) {
			fmt.Fprintf(&out, "[%s%d]\n", g.word(), i)
			for j := range 1 + g.IntN(4) {
				if g.IntN(4) == 0 {
					fmt.Fprintf(&out, "; %s\n", g.word())
				}
				fmt.Fprintf(&out, "%s%d = %s\n", g.word(), j, g.word())
			}
		}
		return out.String()
	}
	return g.text()
}

func (g generator) mapping(depth int) map[string]any {
	m := map[string]any{}
	for range 1 + g.IntN(5) {
		m[g.word()] = g.value(depth + 1)
	}
	return m
}

func (g generator) value(depth int) any {
	n := 9
	if depth < 4 {
		n = 12
	}
	switch g.IntN(n) {
	case 0:
		return g.IntN(2) == 0
	case 1:
		return g.Int64()>>g.IntN(60) - math.MaxInt32
	case 2:
		return g.NormFloat64() * math.Pow(10, float64(g.IntN(40)-20))
	case 3:
		return nil
	case 4:
		return ""
	case 9:
		return g.mapping(depth)
	case 10, 11:
		l := make([]any, g.IntN(4))
		for i := range l {
			l[i] = g.value(depth + 1)
		}
		return l
	}
	return g.text()
}

func (g generator) word() string {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	out := make([]byte, 1+g.IntN(8))
	for i := range out {
		out[i] = letters[g.IntN(len(letters))]
	}
	return string(out)
}

func (g generator) text() string {
	parts := []string{"true", "0x1f", "1e3", "null", "~", "yes", "- a", "#", ": ", "\n", "\t", "\"", "'", "ENC[AES256_GCM,data:x]", "ü", "😀", " ", "{", "]", "012", "\\n", "&a", "*a", "2026-01-02", "$x", "%", "<<", "!!str"}
	var out strings.Builder
	for range 1 + g.IntN(5) {
		out.WriteString(parts[g.IntN(len(parts))])
		if g.IntN(2) == 0 {
			out.WriteString(g.word())
		}
	}
	return out.String()
}
