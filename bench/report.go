package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// report is what a run found.
type report struct {
	Machine string   `json:"machine"`
	Command string   `json:"command"`
	Results []result `json:"results"`
}

func newReport(args []string) *report {
	return &report{
		Machine: fmt.Sprintf("%d cores, %s/%s, %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version()),
		Command: strings.Join(append([]string{"go run ./bench"}, args...), " "),
	}
}

// write keeps what there is, as Markdown and as JSON.
func (r *report) write(base string) error {
	if err := os.WriteFile(base+".md", []byte(r.markdown()), 0o644); err != nil { //nolint:gosec // for everybody to read
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(base+".json", append(data, '\n'), 0o644) //nolint:gosec // for everybody to read
}

func (r *report) markdown() string {
	var out strings.Builder
	fmt.Fprintf(&out, "`%s` on %s\n\n", r.Command, r.Machine)
	out.WriteString("| scenario | n | engine | seconds | × floor | engine CPU-s | API server CPU-s | requests | peak MiB | p50 / p99 s | note |\n")
	out.WriteString("| --- | ---: | --- | ---: | ---: | ---: | ---: | --- | ---: | --- | --- |\n")
	for _, one := range r.Results {
		fmt.Fprintf(&out, "| %s | %d | %s | %.1f | %s | %.2f | %.2f | %d%s | %s | %s | %s |\n", one.Scenario, one.N, one.Engine, one.Seconds, r.times(one),
			one.EngineCPU, one.ServerCPU, one.total(), parenthesis(one.verbs()), number(one.PeakMiB), latency(one), one.Note)
	}
	out.WriteString(r.verdict())
	return out.String()
}

// times is how many times the floor's time of the same size an engine took.
func (r *report) times(one result) string {
	floor := r.of("floor", one.Scenario, one.N)
	if floor == nil || floor.Seconds == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", one.Seconds/floor.Seconds)
}

func parenthesis(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

func number(v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", v)
}

func latency(r result) string {
	if r.Max == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f / %.2f", r.P50, r.P99)
}

func replaceOnce(text, was, is string) string {
	if !strings.Contains(text, was) {
		panic("no " + was + " in the manifest")
	}
	return strings.Replace(text, was, is, 1)
}
