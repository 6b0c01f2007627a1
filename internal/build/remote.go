package build

import (
	"net/url"
	"regexp"
	"strings"
)

// isURL says whether Kustomize would fetch a file with this path over HTTP.
func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https")
}

var scpUser = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9-]*@`)

// isRemote says whether Kustomize would fetch a resource, component or base with this
// path, over HTTP or with git. It knows the forms that Kustomize's documentation on
// remote targets lists: URLs, scp-like addresses, and hosts that it knows by name.
func isRemote(s string) bool {
	lower := strings.TrimPrefix(strings.ToLower(s), "git::")
	for _, scheme := range []string{"http://", "https://", "ssh://", "file://"} {
		if strings.HasPrefix(lower, scheme) {
			return true
		}
	}
	if isURL(s) || strings.HasPrefix(lower, "github.com/") || strings.HasPrefix(lower, "github.com:") {
		return true
	}
	user := scpUser.FindString(lower)
	if user == "" {
		return false
	}
	rest := lower[len(user):]
	at := strings.IndexAny(rest, ":/")
	if at < 0 {
		return strings.HasPrefix(rest, "github.com")
	}
	repo := rest[at+1:]
	return strings.Contains(repo, "/") || strings.Contains(repo, ".git")
}

// withoutUserinfo drops a password from an address, and the user with it.
func withoutUserinfo(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	authority, path, _ := strings.Cut(rest, "/")
	if at := strings.LastIndex(authority, "@"); at >= 0 {
		authority = authority[at+1:]
	}
	path, _, _ = strings.Cut(path, "?")
	return scheme + "://" + authority + "/" + path
}
