package receiver

import (
	"net/http"
	"strings"
	"testing"

	apiv1 "github.com/fluxcd/notification-controller/api/v1"
)

// FuzzSignature sends any header: only the one that the token gives is good.
func FuzzSignature(f *testing.F) {
	for _, seed := range []string{"", "sha256=", "sha1=00", "sha256=" + strings.Repeat("0", 64), "sha512=" + strings.Repeat("ff", 64), "=", "SHA256=zz", "sha256"} {
		f.Add(seed, "body")
	}
	f.Fuzz(func(t *testing.T, value, body string) {
		for _, kind := range []string{apiv1.GenericHMACReceiver, apiv1.GitHubReceiver, apiv1.GitLabReceiver} {
			header := http.Header{headerHMAC: {value}, headerGitHub: {value}, headerGitLab: {value}}
			p, err := proofOf(kind, header, "a token that nobody guesses, 9d1f")
			if err != nil {
				if value != "" && len(value) > 16 && strings.Contains(err.Error(), value) {
					t.Errorf("%s: the error quotes what was sent: %v", kind, err)
				}
				continue
			}
			if p.mac == nil {
				t.Fatalf("%s: %q is taken for the token", kind, value)
			}
			p.mac.Write([]byte(body))
			if p.good() {
				t.Fatalf("%s: %q is taken for the signature of %q", kind, value, body)
			}
		}
	})
}

// FuzzPayload decodes any body and lets expressions read it: it ends in a decision or an error that doesn't quote the body.
func FuzzPayload(f *testing.F) {
	filters, err := newFilters()
	if err != nil {
		f.Fatal(err)
	}
	one, err := filters.compile("req.ref == res.metadata.name || req.l.exists(x, x == 'a') || req.a.b.c.split('/').last().value() == '1'")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{`{"ref":"a"}`, `{"ref":1,"l":["a"],"a":{"b":{"c":"x/1"}}}`, `{"l":{"a":null}}`, `[]`, `null`, ``, `{"a":{"b":1e999}}`, strings.Repeat(`{"a":`, 100)} {
		f.Add("application/json", []byte(seed))
	}
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		payload, refused := decode(http.Header{"Content-Type": {contentType}}, body)
		if refused != nil {
			return
		}
		if _, err := one.admits(t.Context(), payload, map[string]any{"metadata": map[string]any{"name": "a"}}); err != nil && len(body) > 40 && strings.Contains(err.Error(), string(body)) {
			t.Errorf("the error quotes the body: %v", err)
		}
	})
}

// FuzzFilter compiles any expression and asks it: it ends in a decision or in an error, and the error of its evaluation quotes nothing that was sent.
func FuzzFilter(f *testing.F) {
	filters, err := newFilters()
	if err != nil {
		f.Fatal(err)
	}
	const sent = "correct-horse-battery"
	for _, seed := range []string{
		"req.ref == res.metadata.name", "req.l.map(x, x + 1) == []", "lists.range(10).reverse().sort() == []", "req[req.ref]", "req.ref.replace('', req.ref) == ''",
		"[[1]].flatten().distinct() == [1]", "req.ref.split('/').last().value() == '1'", "duration(req.ref) > duration('1s')", "true", ")",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		one, err := filters.compile(text)
		if err != nil {
			return
		}
		_, err = one.admits(t.Context(), map[string]any{"ref": sent, "l": []any{1.0, "a", nil}}, map[string]any{"metadata": map[string]any{"name": "a"}})
		if err != nil && strings.Contains(err.Error(), sent) && !strings.Contains(text, sent) {
			t.Errorf("%s quotes what was sent: %v", text, err)
		}
	})
}

// TestCostlyFiltersEnd has the agent evaluate what would take all of its memory or time.
func TestCostlyFiltersEnd(t *testing.T) {
	t.Parallel()
	filters, err := newFilters()
	if err != nil {
		t.Fatal(err)
	}
	body := map[string]any{"log": strings.Repeat("rain. ", 1<<15)}
	for name, text := range map[string]string{
		"a text put between its letters": "req.log.replace('', req.log).replace('', req.log) == ''",
		"many long ranges":               "lists.range(1000).all(i, lists.range(1000000).size() > i)",
		"all pairs":                      "req.log.split('').distinct().size() + lists.range(100000).distinct().size() > 0",
	} {
		t.Run(name, func(t *testing.T) {
			one, err := filters.compile(text)
			if err != nil {
				return // refused before anything is spent
			}
			if _, err := one.admits(t.Context(), body, nil); err == nil {
				t.Error("it must not have a value")
			}
		})
	}
}
