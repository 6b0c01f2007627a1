package source

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/url"
	"path"
	"strings"
	"unicode"
)

// remote is a parsed spec.url. Its text never holds the userinfo's password,
// nor a user name but SSH's.
type remote struct {
	scheme   string
	host     string // with port where one is given
	path     string
	user     string
	password string
}

// parseURL checks a repository's URL. file:// is for the lab only.
func parseURL(raw string, allowFile bool) (*remote, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" {
		// The parser's error quotes the URL with its password.
		return nil, failf(ReasonURLInvalid, "spec.url can't be read as a URL: write https://HOST/PATH or ssh://USER@HOST/PATH (not USER@HOST:PATH)")
	}
	r := &remote{scheme: strings.ToLower(u.Scheme), host: strings.ToLower(u.Host), path: u.Path}
	if u.User != nil {
		r.user = u.User.Username()
		r.password, _ = u.User.Password()
	}
	switch r.scheme {
	case "http", "https", "ssh":
		return r, r.checkHosted(u)
	case "file":
		if !allowFile {
			return nil, failf(ReasonURLInvalid, "spec.url: file:// is only allowed in a lab: use http, https or ssh")
		}
		return r, r.checkLocal(u)
	case "":
		return nil, failf(ReasonURLInvalid, "spec.url has no scheme: write https://HOST/PATH or ssh://USER@HOST/PATH (not USER@HOST:PATH)")
	}
	return nil, failf(ReasonURLInvalid, "spec.url: the scheme %q is not supported: use http, https or ssh", r.scheme)
}

func (r *remote) checkHosted(u *url.URL) error {
	if u.Hostname() == "" {
		return failf(ReasonURLInvalid, "spec.url names no host: write %s://HOST/PATH", r.scheme)
	}
	if u.Fragment != "" || u.RawQuery != "" {
		return failf(ReasonURLInvalid, "spec.url has a query or a fragment (?… or #…): remove it; a revision belongs into spec.ref, a token into the Secret that spec.secretRef names")
	}
	r.path = strings.TrimRight(r.path, "/")
	if strings.ContainsFunc(r.path, unicode.IsControl) {
		return failf(ReasonURLInvalid, "spec.url has control characters in its path: remove them")
	}
	if r.scheme != "ssh" {
		return nil
	}
	if r.password != "" {
		return failf(ReasonURLInvalid, "spec.url holds a password, which ssh doesn't use here: put a key under identity into the Secret that spec.secretRef names")
	}
	if strings.HasPrefix(strings.TrimLeft(r.path, "/"), "-") {
		return failf(ReasonURLInvalid, "spec.url: a server could take its path for something else than a path: rename the repository")
	}
	return nil
}

func (r *remote) checkLocal(u *url.URL) error {
	if r.host != "" && r.host != "localhost" {
		return failf(ReasonURLInvalid, "spec.url: file://%s/… names a host: write file:///PATH", r.host)
	}
	r.host, r.path = "", path.Clean(u.Path)
	if !path.IsAbs(r.path) {
		return failf(ReasonURLInvalid, "spec.url: write file:///PATH with an absolute path")
	}
	return nil
}

// String is the URL as it may be shown.
func (r *remote) String() string {
	user := ""
	if r.scheme == "ssh" && r.user != "" {
		user = url.User(r.user).String() + "@"
	}
	return r.scheme + "://" + user + r.host + (&url.URL{Path: r.path}).EscapedPath()
}

// endpoint is the URL that requests are made to, without userinfo.
func (r *remote) endpoint() string {
	return r.scheme + "://" + r.host + (&url.URL{Path: r.path}).EscapedPath()
}

// key names what is kept on disk for this URL. Spelling it with or without
// credentials, or with a slash at its end, makes no difference.
func (r *remote) key() string {
	user := ""
	if r.scheme == "ssh" {
		user = r.user
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{r.scheme, user, r.host, r.path}, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// address is the host and port to dial.
func (r *remote) address(defaultPort string) string {
	if _, _, err := net.SplitHostPort(r.host); err == nil {
		return r.host
	}
	return net.JoinHostPort(strings.Trim(r.host, "[]"), defaultPort)
}

// secrets lists what must not be seen of this URL.
func (r *remote) secrets() []string {
	out := spellings(r.password)
	if r.scheme != "ssh" {
		out = append(out, spellings(r.user)...)
	}
	return out
}

// SanitizeURL returns the URL without credentials, fit for logs and messages.
// A URL that can't be read gives a fixed text.
func SanitizeURL(raw string) string {
	r, err := parseURL(raw, true)
	if err != nil {
		return "(invalid URL)"
	}
	return r.String()
}
