package main

import (
	"context"
	"flag"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/slipway-dev/slipway/internal/lab/tethered"
)

// options are the command line.
type options struct {
	scenarios, engines, sizes string
	git                       bool
	short                     int
	monorepo                  monorepoOptions
	modules                   moduleOptions
	start, failing            int
	binary, out               string
	profiler                  profiler
}

func main() {
	var o options
	flag.StringVar(&o.scenarios, "scenarios", "create,failing,start,monorepo,modules", "what to measure")
	flag.StringVar(&o.engines, "engines", "floor,flux,slipway", "what to measure it on; in this order, alternating")
	flag.StringVar(&o.sizes, "n", "100,300,500,1000", "applications that are created while the engine runs")
	flag.IntVar(&o.start, "start", 1000, "applications that are there when the engine starts")
	flag.IntVar(&o.failing, "failing", 100, "applications of which a tenth never becomes healthy")
	flag.IntVar(&o.monorepo.n, "monorepo", 1000, "applications in one repository")
	flag.IntVar(&o.monorepo.commits, "commits", 20, "commits that touch one application each")
	flag.IntVar(&o.monorepo.drifts, "drifts", 100, "objects that are changed by hand")
	flag.DurationVar(&o.monorepo.idle, "idle", 10*time.Minute, "how long nothing is done; 0 leaves that out")
	flag.IntVar(&o.modules.n, "modules", 100, "modules in one agent")
	flag.DurationVar(&o.modules.idle, "modules-idle", 5*time.Minute, "how long nothing is done; 0 leaves that out")
	flag.BoolVar(&o.git, "git", false, "take applications from Git instead of from a registry")
	flag.IntVar(&o.short, "short", 3, "how often floor and Slipway are measured where that takes less than a minute: creation of at most 300, failures, a start; a bar looks at the median")
	flag.StringVar(&o.binary, "slipway", filepath.Join("bin", "slipway"), "Slipway's executable")
	flag.StringVar(&o.profiler.dir, "profile", "", "folder for CPU and heap profiles of the API server and of Slipway; the figures are worse with it")
	flag.DurationVar(&o.profiler.span, "profile-for", 5*time.Second, "how much of each measurement is profiled")
	flag.StringVar(&o.out, "o", "", "where to write the results, without an ending; default: only to standard output")
	flag.Parse()
	ctrl.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // what runs is tethered to this process
	}
}

// job is one engine in one scenario.
type job struct {
	name   string
	engine string
	do     func(ctx context.Context, a *arena) ([]result, error)
}

func run(ctx context.Context, o options) error {
	top, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("find the clone: %w", err)
	}
	if err := os.Chdir(strings.TrimSpace(string(top))); err != nil {
		return err
	}
	if o.binary, err = filepath.Abs(o.binary); err != nil {
		return err
	}
	programs, err := tethered.FindPrograms(ctx)
	if err != nil {
		return err
	}
	if err := programs.WithControllers(ctx); err != nil {
		return err
	}
	jobs, err := o.jobs()
	if err != nil {
		return err
	}
	found := newReport(os.Args[1:])
	for i, j := range jobs {
		fmt.Fprintf(os.Stderr, "%s  %d of %d: %s, %s\n", time.Now().Format(time.TimeOnly), i+1, len(jobs), j.name, j.engine)
		got, err := measure(ctx, programs, o, j)
		for _, r := range got {
			fmt.Fprintf(os.Stderr, "          %s: %.1f s, engine %.1f CPU-s, API server %.1f CPU-s, %d requests, %.0f MiB, p50 %.2f s, p99 %.2f s %s\n",
				r.Scenario, r.Seconds, r.EngineCPU, r.ServerCPU, r.total(), r.PeakMiB, r.P50, r.P99, r.Note)
		}
		found.Results = append(found.Results, got...)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", j.name, j.engine, err)
		}
		if o.out != "" {
			if err := found.write(o.out); err != nil {
				return err
			}
		}
	}
	fmt.Print(found.markdown())
	return nil
}

func measure(ctx context.Context, programs *tethered.Programs, o options, j job) ([]result, error) {
	a, err := enter(ctx, programs, o.git, o.profiler)
	if err != nil {
		return nil, err
	}
	defer a.close()
	a.settle(ctx)
	return j.do(ctx, a)
}

// jobs lists what to do, engine by engine within each scenario.
func (o options) jobs() ([]job, error) {
	engines := map[string]engine{"flux": flux(), "slipway": slipway(o.binary)}
	var jobs []job
	add := func(scenario, name string, do func(ctx context.Context, a *arena, e engine) ([]result, error)) {
		e, ok := engines[name]
		if !ok {
			return // the floor: where it means something
		}
		jobs = append(jobs, job{scenario, name, func(ctx context.Context, a *arena) ([]result, error) { return do(ctx, a, e) }})
	}
	names := strings.Split(o.engines, ",")
	for _, name := range names {
		if _, ok := engines[name]; !ok && name != "floor" {
			return nil, fmt.Errorf("no engine %q: floor, flux or slipway", name)
		}
	}
	var sizes []int
	for text := range strings.SplitSeq(o.sizes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("-n: %w", err)
		}
		sizes = append(sizes, n)
	}
	for scenario := range strings.SplitSeq(o.scenarios, ",") {
		switch scenario {
		case "create":
			for _, n := range sizes {
				for names := range o.rounds(names, n <= mostShort) {
					if slices.Contains(names, "floor") {
						jobs = append(jobs, job{"create", "floor", func(ctx context.Context, a *arena) ([]result, error) {
							r, err := floor(ctx, a, n)
							return []result{r}, err
						}})
					}
					for _, name := range names {
						add("create", name, func(ctx context.Context, a *arena, e engine) ([]result, error) { return create(ctx, a, e, n) })
					}
				}
			}
		case "start":
			for names := range o.rounds(names, true) {
				for _, name := range names {
					add("start", name, func(ctx context.Context, a *arena, e engine) ([]result, error) { return there(ctx, a, e, o.start) })
				}
			}
		case "monorepo":
			if slices.Contains(names, "floor") {
				jobs = append(jobs, job{"irrelevant commit", "floor", func(ctx context.Context, a *arena) ([]result, error) {
					r, err := recordFloor(ctx, a, o.monorepo.n)
					return []result{r}, err
				}})
			}
			for _, name := range names {
				add("monorepo", name, func(ctx context.Context, a *arena, e engine) ([]result, error) {
					return monorepo(ctx, a, e, o.monorepo)
				})
			}
		case "failing":
			for names := range o.rounds(names, true) {
				for _, name := range names {
					add("failing", name, func(ctx context.Context, a *arena, e engine) ([]result, error) { return failing(ctx, a, e, o.failing) })
				}
			}
		case "modules": // Flux has nothing of the kind
			if slices.Contains(names, "slipway") {
				add("modules", "slipway", func(ctx context.Context, a *arena, e engine) ([]result, error) { return modules(ctx, a, e, o.modules) })
			}
		default:
			return nil, fmt.Errorf("no scenario %q: create, start, monorepo, failing or modules", scenario)
		}
	}
	return jobs, nil
}

// mostShort is up to how many applications creating them takes the floor and Slipway so few seconds that the machine's mood shows.
const mostShort = 300

// rounds is the engines to measure in turn: all of them, and where it is short, those that are quick again.
func (o options) rounds(names []string, short bool) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		if !yield(names) || !short {
			return
		}
		quick := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "flux" })
		for range o.short - 1 {
			if !yield(quick) {
				return
			}
		}
	}
}
