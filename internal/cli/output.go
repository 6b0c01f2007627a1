package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/yaml"
)

// The formats of -o.
const (
	formatTable = "table"
	formatWide  = "wide"
	formatJSON  = "json"
	formatYAML  = "yaml"
)

// outputFlag is -o of a verb that lists something.
type outputFlag struct {
	value   string
	allowed []string
}

// addOutputFlag gives cmd the flag -o. The first format is the default.
func addOutputFlag(cmd *cobra.Command, formats ...string) *outputFlag {
	if len(formats) == 0 {
		formats = []string{formatTable, formatJSON, formatYAML}
	}
	out := &outputFlag{value: formats[0], allowed: formats}
	cmd.Flags().VarP(out, "output", "o", "format: "+strings.Join(formats, ", "))
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return formats, cobra.ShellCompDirectiveNoFileComp
	}
	if err := cmd.RegisterFlagCompletionFunc("output", complete); err != nil {
		panic(err) // the flag is defined two lines above
	}
	return out
}

// String returns the chosen format.
func (o *outputFlag) String() string { return o.value }

// Type is what the help calls the flag's value.
func (o *outputFlag) Type() string { return "format" }

// Set takes one of the formats of the verb.
func (o *outputFlag) Set(value string) error {
	if !slices.Contains(o.allowed, value) {
		return fmt.Errorf("use one of %s", strings.Join(o.allowed, ", "))
	}
	o.value = value
	return nil
}

// write prints value as JSON or YAML.
func (a *App) write(format string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	if format == formatYAML {
		if data, err = yaml.JSONToYAML(data); err != nil {
			return fmt.Errorf("encode output: %w", err)
		}
	}
	_, err = fmt.Fprintln(a.Out, strings.TrimSuffix(string(data), "\n"))
	return err
}

// present prints value for people where -o is the verb's default, and as JSON or YAML elsewhere.
func present[T any](a *App, out *outputFlag, value T, forPeople func(T)) error {
	if out.value != out.allowed[0] {
		return a.write(out.value, value)
	}
	forPeople(value)
	return nil
}

// writeObjects prints objects as kubectl does: one alone, or a List of them, ready to be applied again.
func (a *App) writeObjects(format string, scheme *runtime.Scheme, objs []client.Object, single bool) error {
	for _, obj := range objs {
		gvk, err := apiutil.GVKForObject(obj, scheme)
		if err != nil {
			return fmt.Errorf("encode output: %w", err)
		}
		obj.GetObjectKind().SetGroupVersionKind(gvk)
		obj.SetManagedFields(nil)
	}
	if single && len(objs) == 1 {
		return a.write(format, objs[0])
	}
	return a.write(format, struct {
		metav1.TypeMeta `json:",inline"`
		Items           []client.Object `json:"items"`
	}{metav1.TypeMeta{APIVersion: "v1", Kind: "List"}, append([]client.Object{}, objs...)})
}

// table prints rows in aligned columns. Cells may be coloured: alignment counts what is seen.
type table struct {
	header []string
	rows   [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (a *App) printTable(t table) error {
	widths := make([]int, len(t.header))
	lines := append([][]string{t.header}, t.rows...)
	for _, line := range lines {
		for i := range line {
			line[i] = oneLine(line[i])
			widths[i] = max(widths[i], visibleWidth(line[i]))
		}
	}
	for _, line := range lines {
		var row strings.Builder
		for i, cell := range line {
			row.WriteString(cell)
			if i < len(line)-1 {
				row.WriteString(strings.Repeat(" ", widths[i]-visibleWidth(cell)+3))
			}
		}
		if _, err := fmt.Fprintln(a.Out, strings.TrimRight(row.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// visibleWidth counts the characters of text that are not part of a colour sequence.
func visibleWidth(text string) int {
	width := 0
	for text != "" {
		if rest, ok := strings.CutPrefix(text, "\x1b["); ok {
			_, text, _ = strings.Cut(rest, "m")
			continue
		}
		_, size := utf8.DecodeRuneInString(text)
		text = text[size:]
		width++
	}
	return width
}

// oneLine keeps a message that spans lines from breaking a table.
func oneLine(text string) string {
	return strings.Join(strings.Fields(text), " ")
}

// maxGist is how many characters of a message a table of one line per object has room for.
const maxGist = 100

// gist is the first line of a message, cut where a table would become unreadable; … says that there is more.
func gist(message string) string {
	message = strings.TrimSpace(message)
	first, _, more := strings.Cut(message, "\n")
	first = oneLine(first)
	if letters := []rune(first); len(letters) > maxGist {
		first, more = strings.TrimRight(string(letters[:maxGist-1]), " "), true
	}
	if more {
		first += "…"
	}
	return first
}

// age says how long ago t was, as kubectl says it.
func (a *App) age(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return duration.HumanDuration(a.now().Sub(t))
}

// orDash keeps empty cells visible.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
