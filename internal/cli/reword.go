package cli

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// rewording says in other words what cobra says of a wrong call.
type rewording struct {
	pattern *regexp.Regexp
	say     func(cmd *cobra.Command, found []string) string
}

func rewordings() []rewording {
	return []rewording{
		{regexp.MustCompile(`^(?:accepts|requires) .*arg\(s\).*(?:received|got) (\d+)$`), wrongArguments},
		{regexp.MustCompile(`^unknown command "([^"]*)" for ".*$`), func(cmd *cobra.Command, found []string) string {
			if cmd.HasAvailableSubCommands() {
				return found[0]
			}
			return fmt.Sprintf("%s takes no arguments, got %q", cmd.CommandPath(), found[1])
		}},
		{regexp.MustCompile(`^unknown flag: --(.*)$`), unknownFlag},
		{regexp.MustCompile(`^unknown shorthand flag: '(.)' in (\S+)$`), func(cmd *cobra.Command, found []string) string {
			return fmt.Sprintf("%s has no flag -%s", cmd.CommandPath(), found[1])
		}},
		{regexp.MustCompile(`^flag needs an argument: (?:'.' in )?(-\S+)$`), func(_ *cobra.Command, found []string) string {
			return fmt.Sprintf("%s needs a value after it", found[1])
		}},
		{regexp.MustCompile(`^invalid argument ("[^"]*") for "([^"]*)" flag: (.*)$`), func(_ *cobra.Command, found []string) string {
			flags := strings.Split(found[2], ", ")
			return fmt.Sprintf("%s is no value for %s: %s", found[1], flags[len(flags)-1], found[3])
		}},
		{regexp.MustCompile(`^if any flags in the group \[([^\]]*)\] are set none of the others can be`), func(_ *cobra.Command, found []string) string {
			return "only one of --" + strings.Join(strings.Fields(found[1]), " and --") + " can be given"
		}},
		{regexp.MustCompile(`^required flag\(s\) (.*) not set$`), func(_ *cobra.Command, found []string) string {
			return "missing: " + strings.ReplaceAll(strings.ReplaceAll(found[1], `"`, ""), ", ", ", --")
		}},
	}
}

// reword gives the message of a wrong call, in the words of this CLI.
func reword(cmd *cobra.Command, err error) string {
	text := err.Error()
	for _, r := range rewordings() {
		if found := r.pattern.FindStringSubmatch(text); found != nil {
			return r.say(cmd, found)
		}
	}
	return text
}

func wrongArguments(cmd *cobra.Command, found []string) string {
	_, wants, _ := strings.Cut(cmd.Use, " ")
	if wants == "" {
		return fmt.Sprintf("%s takes no arguments, got %s", cmd.CommandPath(), found[1])
	}
	if found[1] == "0" {
		return fmt.Sprintf("something is missing: %s %s", cmd.CommandPath(), wants)
	}
	return fmt.Sprintf("want %s %s, got %s arguments", cmd.CommandPath(), wants, found[1])
}

// maxTypos is how many letters may be wrong in a flag that is recognised.
const maxTypos = 3

// unknownFlag names the flag that may have been meant.
func unknownFlag(cmd *cobra.Command, found []string) string {
	typed, _, _ := strings.Cut(found[1], "=")
	best, far := "", maxTypos+1
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		d := distance(typed, f.Name)
		if strings.HasPrefix(f.Name, typed) {
			d = 1
		}
		if !f.Hidden && d < far {
			best, far = f.Name, d
		}
	})
	if best == "" {
		return fmt.Sprintf("%s has no flag --%s", cmd.CommandPath(), typed)
	}
	return fmt.Sprintf("%s has no flag --%s; did you mean --%s?", cmd.CommandPath(), typed, best)
}
