package registry

import (
	"net/http"
	"regexp"
	"strings"
)

// Host says how the registry part of an image's name is written at the start
// of a repository's path: in lower case, and with "_" before a port, because
// ":" may not stand there and "_" may not stand in a host's name. "index.docker.io",
// as some clients call it, is "docker.io". Hosts that are IPv6 addresses have no
// such form; Host returns false for them and for whatever else can't be one.
func Host(host string) (string, bool) {
	host = strings.ToLower(host)
	if host == "index.docker.io" || host == "registry-1.docker.io" {
		host = "docker.io"
	}
	encoded := strings.ReplaceAll(host, ":", "_")
	return encoded, hostForm.MatchString(encoded)
}

var hostForm = regexp.MustCompile(`^[a-z0-9]+([.-]+[a-z0-9]+)*(_[0-9]+)?$`)

// mirror makes one registry stand in for all: what containerd asks of a mirror
// with ?ns=HOST is looked for in HOST's own repositories, so that images of the
// same name from two hosts never mix.
func mirror(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ns := r.URL.Query().Get("ns")
		rest, isAPI := strings.CutPrefix(r.URL.Path, "/v2/")
		if ns == "" || !isAPI || rest == "" || strings.HasPrefix(rest, "_catalog") {
			next.ServeHTTP(w, r)
			return
		}
		host, ok := Host(ns)
		if !ok {
			http.Error(w, "ns must be a registry's host name with an optional port", http.StatusBadRequest)
			return
		}
		renamed := r.Clone(r.Context())
		renamed.URL.Path = "/v2/" + host + "/" + rest
		renamed.URL.RawPath = ""
		next.ServeHTTP(w, renamed)
	})
}
