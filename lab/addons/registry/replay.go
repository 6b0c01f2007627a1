package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// put is a recorded manifest on its way back into the registry.
type put struct {
	repo, ref string
	record
}

// replay puts every recorded manifest into the registry again. An index is
// refused until the manifests that it lists are there, so whatever is refused
// is tried again for as long as others get through.
func (m *manifests) replay() error {
	waiting, err := m.recorded()
	if err != nil {
		return err
	}
	for len(waiting) > 0 {
		var refused []put
		var why []error
		for _, p := range waiting {
			if err := p.into(m.next); err != nil {
				refused = append(refused, p)
				why = append(why, err)
			}
		}
		if len(refused) == len(waiting) {
			return errors.Join(why...)
		}
		waiting = refused
	}
	return nil
}

func (m *manifests) recorded() ([]put, error) {
	files, err := filepath.Glob(filepath.Join(m.dir, "*", "*"))
	if err != nil {
		return nil, err
	}
	var puts []put
	for _, file := range files {
		if strings.HasPrefix(filepath.Base(file), unfinished) {
			continue
		}
		p, err := readPut(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		puts = append(puts, p)
	}
	return puts, nil
}

func readPut(file string) (put, error) {
	repo, err := url.PathUnescape(filepath.Base(filepath.Dir(file)))
	if err != nil {
		return put{}, err
	}
	ref, err := url.PathUnescape(filepath.Base(file))
	if err != nil {
		return put{}, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return put{}, err
	}
	p := put{repo: repo, ref: ref}
	return p, json.Unmarshal(text, &p.record)
}

func (p put) into(registry http.Handler) error {
	path := "/v2/" + p.repo + "/manifests/" + p.ref
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPut, path, bytes.NewReader(p.Manifest))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", p.MediaType)
	answer := httptest.NewRecorder()
	registry.ServeHTTP(answer, req)
	if answer.Code != http.StatusCreated {
		return fmt.Errorf("put %s again: %s", path, strings.TrimSpace(answer.Body.String()))
	}
	return nil
}
