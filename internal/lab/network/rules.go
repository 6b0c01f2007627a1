package network

import (
	"context"
	"strings"

	"github.com/slipway-dev/slipway/internal/lab/address"
)

// rule is one line of iptables.
type rule struct {
	table, chain string
	match        []string
}

// rules are what pods need to reach other networks through the host: a source address that those know, and leave to pass where
// the host's own policy is to drop, as Docker's is.
func rules(lab string, plan address.Plan) []rule {
	block := plan.Block().String()
	comment := []string{"-m", "comment", "--comment", mark(lab)}
	return []rule{
		{"nat", "POSTROUTING", append([]string{"-s", block, "!", "-d", block}, append(comment, "-j", "MASQUERADE")...)},
		{"filter", "FORWARD", append([]string{"-s", block}, append(comment, "-j", "ACCEPT")...)},
		{"filter", "FORWARD", append([]string{"-d", block}, append(comment, "-j", "ACCEPT")...)},
	}
}

func ensureRules(ctx context.Context, lab string, plan address.Plan) error {
	for _, r := range rules(lab, plan) {
		if _, err := iptables(ctx, "-C", r); err == nil {
			continue
		}
		if _, err := iptables(ctx, "-I", r); err != nil {
			return err
		}
	}
	return nil
}

func iptables(ctx context.Context, action string, r rule) ([]byte, error) {
	return run(ctx, "iptables", append([]string{"-w", "-t", r.table, action, r.chain}, r.match...)...)
}

// removeRules deletes every rule with the lab's mark, whatever addresses it is about.
func removeRules(ctx context.Context, lab string) error {
	for _, table := range []string{"nat", "filter"} {
		out, err := run(ctx, "iptables", "-w", "-t", table, "-S")
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(out)) {
			args, ok := deletion(strings.TrimSpace(line), mark(lab))
			if !ok {
				continue
			}
			if _, err := run(ctx, "iptables", append([]string{"-w", "-t", table}, args...)...); err != nil {
				return err
			}
		}
	}
	return nil
}

// deletion turns a rule as iptables -S prints it into the arguments that delete it, if it bears the mark.
func deletion(line, mark string) ([]string, bool) {
	quoted := `"` + mark + `"`
	if !strings.HasPrefix(line, "-A ") || !strings.Contains(line, quoted) {
		return nil, false
	}
	before, after, _ := strings.Cut(line, quoted)
	args := append(strings.Fields(before), mark)
	args = append(args, strings.Fields(after)...)
	args[0] = "-D"
	return args, true
}
