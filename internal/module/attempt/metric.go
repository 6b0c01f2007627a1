package attempt

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

const (
	// askWithin bounds one question to a Prometheus server.
	askWithin = 10 * time.Second
	// maxAnswer is how much of its answer is read, in bytes: one number is wanted.
	maxAnswer = 1 << 20
)

// metricHolds asks a Prometheus server for one number, and returns why the answer is no.
func (t *task) metricHolds(ctx context.Context, c v1alpha1.MetricCheck) string {
	value, err := t.query(ctx, c)
	if err != nil {
		return err.Error()
	}
	holds, err := evaluate(c.Expression, map[string]any{"value": value})
	if err != nil {
		return err.Error()
	}
	if !holds {
		return fmt.Sprintf("%s is false: the value is %s", c.Expression, strconv.FormatFloat(value, 'g', 6, 64))
	}
	return ""
}

// query returns the one number that a query gives. Anything else is an error: no answer, no number, several.
func (t *task) query(ctx context.Context, c v1alpha1.MetricCheck) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	address := strings.TrimSuffix(c.Address, "/") + "/api/v1/query"
	body := url.Values{"query": {c.Query}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("the address can't be asked: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if err := t.authorize(ctx, req, c.SecretRef); err != nil {
		return 0, err
	}
	asker := t.HTTP
	if asker == nil {
		asker = &http.Client{Timeout: askWithin}
	}
	resp, err := asker.Do(req)
	if err != nil {
		return 0, fmt.Errorf("the server didn't answer: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return 0, fmt.Errorf("the server didn't answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK || len(text) > maxAnswer {
		return 0, fmt.Errorf("the server answers with status %d and %d bytes", resp.StatusCode, len(text))
	}
	return number(text)
}

// authorize adds what a Secret of the agent's namespace says, if that is for the module.
func (t *task) authorize(ctx context.Context, req *http.Request, ref *v1alpha1.SecretReference) error {
	if ref == nil {
		return nil
	}
	if t.Secret == nil {
		return fmt.Errorf("no Secret may be used here")
	}
	data, err := t.Secret(ctx, t.m, ref.Name)
	if err != nil {
		return err
	}
	if token := data["bearerToken"]; len(token) > 0 {
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		return nil
	}
	req.SetBasicAuth(string(data["username"]), string(data["password"]))
	return nil
}

// number reads the one number of an answer of Prometheus: a scalar, or a vector of one.
func number(text []byte) (float64, error) {
	var answer struct {
		Data struct {
			ResultType string          `json:"resultType"`
			Result     json.RawMessage `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return 0, fmt.Errorf("the answer isn't one of Prometheus: %w", err)
	}
	var sample []any
	switch answer.Data.ResultType {
	case "scalar":
		if err := json.Unmarshal(answer.Data.Result, &sample); err != nil {
			return 0, fmt.Errorf("the answer isn't one of Prometheus: %w", err)
		}
	case "vector":
		var vector []struct {
			Value []any `json:"value"`
		}
		if err := json.Unmarshal(answer.Data.Result, &vector); err != nil {
			return 0, fmt.Errorf("the answer isn't one of Prometheus: %w", err)
		}
		if len(vector) != 1 {
			return 0, fmt.Errorf("the query gives %d values; one is wanted", len(vector))
		}
		sample = vector[0].Value
	default:
		return 0, fmt.Errorf("the query gives a %q; one number is wanted", answer.Data.ResultType)
	}
	if len(sample) != 2 {
		return 0, fmt.Errorf("the answer isn't one of Prometheus")
	}
	value, err := strconv.ParseFloat(fmt.Sprint(sample[1]), 64)
	if err != nil || value != value {
		return 0, fmt.Errorf("the query gives %v, which is no number", sample[1])
	}
	return value, nil
}
