package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/deploy"
)

// maxLogLine bounds a line of log; what is longer is cut there by the scanner with an error.
const maxLogLine = 1 << 20

// logOptions are the flags of logs.
type logOptions struct {
	agentNamespace string
	follow         bool
	tail           int64
	since          time.Duration
	filter         logFilter
	raw            bool
}

func newLogs(app *App) *cobra.Command {
	var opts logOptions
	var level, about string
	cmd := &cobra.Command{
		Use:   "logs",
		Short: "Show what the agent's pods log",
		Long: `Show the log of the agent's pods in the order of time, readable, and only what concerns you: one object, one level.

With --follow it goes on with what the pods that run now write.`,
		Example: `  # What happened to one Kustomization, and go on
  slipway logs --kind Kustomization --name shop -f

  # Errors of the last ten minutes
  slipway logs --level error --since 10m

  # The lines as the agent wrote them
  slipway logs -o json | jq .`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.agentNamespace, "agent-namespace", deploy.Namespace, "namespace the agent runs in")
	flags.BoolVarP(&opts.follow, "follow", "f", false, "go on until interrupted")
	flags.Int64Var(&opts.tail, "tail", -1, "the last lines of each pod; -1 is all")
	flags.DurationVar(&opts.since, "since", 0, "only lines younger than this, such as 10m")
	flags.StringVar(&about, "kind", "", "only lines about objects of this kind")
	flags.StringVar(&opts.filter.name, "name", "", "only lines about objects of this name; -n gives their namespace")
	flags.StringVar(&level, "level", "", "only lines of this level or above: debug, info, error")
	completeWords(cmd, "level", "debug", "info", "error")
	out := addOutputFlag(cmd, "text", formatJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if about != "" {
			k, err := kindNamed(about)
			if err != nil {
				return err
			}
			opts.filter.kind = k.name
		}
		rank, ok := logLevels()[level]
		if !ok || level == "warn" { // the agent has none between info and error
			return usagef("unknown level %q: use debug, info or error", level)
		}
		opts.filter.rank = rank
		opts.filter.namespace = app.cluster.namespace
		opts.raw = out.value == formatJSON
		c, err := app.connect()
		if err != nil {
			return err
		}
		return app.logs(cmd.Context(), c, opts)
	}
	return cmd
}

func (a *App) logs(ctx context.Context, c *cluster, opts logOptions) error {
	var pods corev1.PodList
	err := c.List(ctx, &pods, client.InNamespace(opts.agentNamespace), client.MatchingLabels(deploy.AgentLabels()))
	if err != nil {
		return fmt.Errorf("list the agent's pods: %w", err)
	}
	if len(pods.Items) == 0 {
		return fmt.Errorf("no pod of the agent in namespace %q; 'slipway install' puts one there, and an agent that runs as a "+
			"process ('slipway agent') logs to its own terminal", opts.agentNamespace)
	}
	clientset, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", c.config.Host, err)
	}
	printer := &logPrinter{app: a, raw: opts.raw, filter: opts.filter, manyPods: len(pods.Items) > 1}
	var streams errgroup.Group
	for _, pod := range pods.Items {
		streams.Go(func() error {
			request := clientset.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, opts.forPod())
			body, err := request.Stream(ctx)
			if err != nil {
				return fmt.Errorf("read log of pod %s: %w", pod.Name, err)
			}
			defer body.Close()
			return printer.read(body, pod.Name, opts.follow)
		})
	}
	if err := streams.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	if err := printer.flush(); err != nil {
		return err
	}
	a.explainSilence(opts, printer.printed)
	return nil
}

// explainSilence says why nothing was printed: a filter that matches nothing looks like an agent that says nothing.
func (a *App) explainSilence(opts logOptions, printed int) {
	switch {
	case printed > 0 || opts.follow:
	case opts.filter == (logFilter{}):
		fmt.Fprintln(a.Err, "the agent's pods have logged nothing in this time")
	default:
		fmt.Fprintln(a.Err, "no line of the agent's log matches --kind, --name, -n and --level; without them, 'slipway logs' shows all")
	}
}

func (o logOptions) forPod() *corev1.PodLogOptions {
	forPod := &corev1.PodLogOptions{Container: deploy.AgentContainer, Follow: o.follow}
	if o.tail >= 0 {
		forPod.TailLines = &o.tail
	}
	if o.since > 0 {
		seconds := int64(max(o.since.Round(time.Second)/time.Second, 1))
		forPod.SinceSeconds = &seconds
	}
	return forPod
}

// logPrinter takes lines from several pods. When they are followed it prints each as it comes; else it holds them until flush and
// prints them in the order of time.
type logPrinter struct {
	app      *App
	raw      bool
	manyPods bool
	filter   logFilter

	mu      sync.Mutex
	held    []logLine
	printed int
}

func (p *logPrinter) read(from io.Reader, pod string, now bool) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, 64<<10), maxLogLine)
	for lines.Scan() {
		line := parseLogLine(lines.Text(), pod)
		if !p.filter.matches(line) {
			continue
		}
		if err := p.take(line, now); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read log of pod %s: %w", pod, err)
	}
	return nil
}

func (p *logPrinter) take(line logLine, now bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now {
		return p.print(line)
	}
	p.held = append(p.held, line)
	return nil
}

func (p *logPrinter) flush() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	slices.SortStableFunc(p.held, func(a, b logLine) int { return strings.Compare(a.time, b.time) })
	for _, line := range p.held {
		if err := p.print(line); err != nil {
			return err
		}
	}
	return nil
}

func (p *logPrinter) print(line logLine) error {
	text := line.raw
	if !p.raw {
		text = line.text(p.app.out, p.manyPods)
	}
	p.printed++
	_, err := fmt.Fprintln(p.app.Out, text)
	return err
}
