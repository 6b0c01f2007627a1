package oci

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// The keys of Kubernetes' two types of pull secrets.
const (
	dockerConfigJSON = ".dockerconfigjson"
	dockerConfig     = ".dockercfg"
)

// readLogins reads a Secret of type kubernetes.io/dockerconfigjson, or of the older kubernetes.io/dockercfg. The parser's words
// are hidden: they may quote the input.
func readLogins(data map[string][]byte) ([]login, error) {
	var entries map[string]entry
	switch {
	case len(data[dockerConfigJSON]) > 0:
		var file struct {
			Auths map[string]entry `json:"auths"`
		}
		if err := json.Unmarshal(data[dockerConfigJSON], &file); err != nil {
			return nil, fmt.Errorf("%s is not the JSON that 'docker login' or 'flux create secret oci' writes", dockerConfigJSON)
		}
		entries = file.Auths
	case len(data[dockerConfig]) > 0:
		if err := json.Unmarshal(data[dockerConfig], &entries); err != nil {
			return nil, fmt.Errorf("%s is not the JSON that it should be", dockerConfig)
		}
	default:
		return nil, fmt.Errorf("it has no key %s: create it with 'flux create secret oci' or 'kubectl create secret docker-registry'", dockerConfigJSON)
	}
	logins := make([]login, 0, len(entries))
	for address, e := range entries {
		auth, err := e.config()
		if err != nil {
			return nil, err
		}
		host, prefix := splitAddress(address)
		logins = append(logins, login{host: host, path: prefix, auth: auth})
	}
	// The longest path first, then names before patterns; a map has no order of its own.
	slices.SortFunc(logins, func(a, b login) int {
		if d := len(b.path) - len(a.path); d != 0 {
			return d
		}
		if d := strings.Count(a.host, "*") - strings.Count(b.host, "*"); d != 0 {
			return d
		}
		return strings.Compare(a.host, b.host)
	})
	return logins, nil
}

// entry is one registry's credentials as Docker writes them.
type entry struct {
	Username      string `json:"username"`
	Password      string `json:"password"`
	Auth          string `json:"auth"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

func (e entry) config() (authn.AuthConfig, error) {
	c := authn.AuthConfig{Username: e.Username, Password: e.Password, IdentityToken: e.IdentityToken, RegistryToken: e.RegistryToken}
	if e.Auth == "" || c.Username != "" {
		return c, nil
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimRight(e.Auth, "\x00"))
	user, password, ok := strings.Cut(strings.TrimRight(string(raw), "\x00"), ":")
	if err != nil || !ok {
		return c, errors.New("an auth in it is not the base64 form of NAME:PASSWORD")
	}
	c.Username, c.Password = user, password
	return c, nil
}

// splitAddress reads the key of an entry: HOST, HOST/PATH, or a URL of either.
func splitAddress(address string) (host, prefix string) {
	address = strings.TrimPrefix(strings.TrimPrefix(address, "https://"), "http://")
	host, prefix, _ = strings.Cut(address, "/")
	prefix = strings.Trim(prefix, "/")
	if prefix == "v1" || prefix == "v2" { // The API's version, in what old clients wrote.
		prefix = ""
	}
	return hubName(host), prefix
}

// hubName gives Docker's registry the one name that package name has for it.
func hubName(host string) string {
	if host == "docker.io" || host == "registry-1.docker.io" {
		return name.DefaultRegistry
	}
	return host
}

// loginFor finds the credentials for a repository, and which of the logins they are; -1 is none.
func (a Auth) loginFor(repo name.Repository) (authn.Authenticator, int) {
	for i, l := range a.logins {
		if !l.anywhere && !matchHost(l.host, repo.RegistryStr()) {
			continue
		}
		if l.path == "" || repo.RepositoryStr() == l.path || strings.HasPrefix(repo.RepositoryStr(), l.path+"/") {
			return authn.FromConfig(l.auth), i
		}
	}
	return authn.Anonymous, -1
}

// matchHost compares label by label, as Kubernetes does: * stands for (a part of) one label.
func matchHost(pattern, host string) bool {
	want, have := strings.Split(pattern, "."), strings.Split(host, ".")
	if len(want) != len(have) {
		return false
	}
	for i := range want {
		if ok, err := path.Match(want[i], have[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

// Login is one login for whatever registry is asked.
func Login(username, password string) Auth {
	return Auth{
		logins: []login{{anywhere: true, auth: authn.AuthConfig{Username: username, Password: password}}},
		id:     Secrets{Pull: []map[string][]byte{{dockerConfig: []byte(username + ":" + password)}}}.id(),
	}
}
