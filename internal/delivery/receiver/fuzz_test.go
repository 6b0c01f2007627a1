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
