package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxAnswer bounds what a service reads of another's answer.
const maxAnswer = 1 << 20

// Client calls another service of the shop.
type Client struct {
	// Service names it in errors; URL is its address without a trailing slash.
	Service, URL string
	http         *http.Client
}

// NewClient makes a client that waits two seconds for an answer.
func NewClient(service, url string) *Client {
	return &Client{Service: service, URL: url, http: &http.Client{Timeout: 2 * time.Second}}
}

// StatusError is an answer with a status code that isn't a success.
type StatusError struct {
	Service string
	Code    int
	Text    string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s answered %d: %s", e.Service, e.Code, e.Text)
}

// Call sends in as JSON (nothing when nil) and reads the answer into out (not
// at all when nil). An answer of 400 and above is a *StatusError.
func (c *Client) Call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode request to %s: %w", c.Service, err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, body)
	if err != nil {
		return fmt.Errorf("make request to %s: %w", c.Service, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("call %s: %w", c.Service, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read answer of %s: %w", c.Service, err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return &StatusError{Service: c.Service, Code: resp.StatusCode, Text: string(bytes.TrimSpace(data))}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("decode answer of %s: %w", c.Service, err)
	}
	return nil
}
