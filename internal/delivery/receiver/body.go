package receiver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

const (
	// maxBody bounds a body that is only hashed. It is what GitHub caps its payloads at.
	maxBody = 25 << 20
	// maxKept bounds a body that an expression reads, which is kept in memory and decoded there.
	maxKept = 2 << 20
)

// read passes the body through the proof and returns it if keep says so. It reads no body that neither needs.
func read(w http.ResponseWriter, req *http.Request, p proof, keep bool) ([]byte, *refusal) {
	if p.mac == nil && !keep {
		return nil, nil
	}
	limit := int64(maxBody)
	if keep {
		limit = maxKept
	}
	if req.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	var (
		kept  bytes.Buffer
		sinks []io.Writer
	)
	if p.mac != nil {
		sinks = append(sinks, p.mac)
	}
	if keep {
		sinks = append(sinks, &kept)
	}
	_, err := io.Copy(io.MultiWriter(sinks...), http.MaxBytesReader(w, req.Body, limit))
	var exceeded *http.MaxBytesError
	switch {
	case errors.As(err, &exceeded):
		return nil, tooLarge(limit)
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "the body ended early, or came too slowly")
	}
	return kept.Bytes(), nil
}

func tooLarge(limit int64) *refusal {
	return refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body exceeds %d bytes", limit))
}

// decode makes a body the req of an expression: the object that it is, or an empty one for what isn't sent as JSON.
func decode(header http.Header, body []byte) (map[string]any, *refusal) {
	if !isJSON(header.Get("Content-Type")) {
		return map[string]any{}, nil
	}
	var out map[string]any
	if err := json.Unmarshal(body, &out); err != nil || out == nil {
		return nil, refuse(http.StatusBadRequest, "the body is sent as application/json, but is not a JSON object")
	}
	return out, nil
}

func isJSON(contentType string) bool {
	for one := range strings.SplitSeq(contentType, ",") {
		if kind, _, err := mime.ParseMediaType(one); err == nil && kind == "application/json" {
			return true
		}
	}
	return false
}
