package gitserver

import (
	"io"
	"net/http"
	"net/http/cgi"
	"os"
)

// handler serves every repository below Dir with git's http-backend.
func (s *Server) handler() http.Handler {
	backend := &cgi.Handler{
		Path: s.git,
		Args: []string{"http-backend"},
		Dir:  s.opts.Dir,
		Env: append(gitEnv(),
			"GIT_PROJECT_ROOT="+s.opts.Dir,
			"GIT_HTTP_EXPORT_ALL=1",
		),
		Stderr: io.Discard,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.authorized(r) {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "give the user name and password of this Git server", http.StatusUnauthorized)
			return
		}
		done, err := sizeBody(r)
		if err != nil {
			http.Error(w, "read request", http.StatusBadRequest)
			return
		}
		defer done()
		backend.ServeHTTP(w, r)
	})
}

// sizeBody gives a chunked request a length: CGI has no word for a body whose
// size isn't known, and git sends larger pushes that way.
func sizeBody(r *http.Request) (done func(), err error) {
	if len(r.TransferEncoding) == 0 {
		return func() {}, nil
	}
	f, err := os.CreateTemp("", "gitserver-push-*")
	if err != nil {
		return nil, err
	}
	done = func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}
	n, err := io.Copy(f, r.Body)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		done()
		return nil, err
	}
	r.Body, r.ContentLength, r.TransferEncoding = f, n, nil
	return done, nil
}

// gitEnv is the environment git runs in: nothing of the person's own
// configuration or of a repository the process happens to stand in.
func gitEnv() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=/nonexistent",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=safe.directory",
		"GIT_CONFIG_VALUE_0=*",
		"GIT_TERMINAL_PROMPT=0",
	}
}
