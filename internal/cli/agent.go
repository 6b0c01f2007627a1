package cli

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"go.uber.org/zap/zapcore"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/slipway-dev/slipway/internal/agent"
	"github.com/slipway-dev/slipway/internal/agent/upgrade"
	gitsource "github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/telemetry"
)

// agentFlags are what the agent's command line says beyond agent.Options.
type agentFlags struct {
	agent.Options

	allNamespaces bool
	selector      string
	sourceLimits  map[string]int64
	logLevel      string
	logEncoding   string
	trust         trustFlags

	slot        string
	selfUpgrade bool
	probe       bool
	probeResult string
}

func newAgent(app *App) *cobra.Command {
	var f agentFlags
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Run the agent: keep the cluster at what is in Git",
		Long: `Run the agent, which fetches what GitRepositories name and makes the cluster match what Kustomizations say.

In a cluster 'slipway install' runs it as pods. On your machine it runs against any cluster that a kubeconfig
names, with the rights of that kubeconfig, until it is interrupted. Two agents on one cluster need
--leader-elect, so that one of them waits.`,
		Example: `  # Against the cluster of the current context, as a process on this machine
  slipway agent

  # Against a lab, with debug logs for people, and your own rights for what names no service account
  slipway agent --lab default --log-level debug --log-encoding console --allow-agent-identity

  # Only for one namespace, as one service account unless an object says otherwise
  slipway agent -n shop --watch-all-namespaces=false --default-service-account deployer`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return app.runAgent(cmd, &f) },
	}
	addAgentFlags(cmd, &f)
	cmd.AddCommand(newAgentUpgrade(app), newAgentRollback(app), newAgentGuard(app))
	return cmd
}

func addAgentFlags(cmd *cobra.Command, f *agentFlags) {
	flags := cmd.Flags()
	flags.StringVar(&f.DataDir, "data-dir", "", "folder for what was fetched (default: slipway/agent in the user's cache folder)")
	flags.BoolVar(&f.allNamespaces, "watch-all-namespaces", true, "take care of all namespaces, not only the one of --namespace")
	flags.StringVar(&f.selector, "watch-label-selector", "", "take care only of sources and Kustomizations with these labels, such as sharding.fluxcd.io/key=a")
	flags.StringSliceVar(&f.FluxNamespaces, "flux-namespace", []string{"flux-system"},
		"where Flux may run: while its controllers hold their leases there, the agent leaves all objects alone; repeat it for several")
	flags.StringVar(&f.ArtifactAddress, "artifact-address", "0", "address that artifacts can be downloaded from, such as :9090; 0 for none")
	flags.StringVar(&f.Advertise, "storage-adv-address", "http://localhost:9090", "base URL of the artifacts in the status of sources")
	flags.StringVar(&f.ReceiverAddress, "receiver-address", "0", "address that the webhooks of Receivers are sent to, such as :9292; 0 for none")
	flags.StringVar(&f.MetricsAddress, "metrics-address", "0", "address of the Prometheus metrics, such as :8080; 0 for none")
	flags.StringVar(&f.HealthAddress, "health-address", "0", "address of /healthz and /readyz, such as :9440; 0 for none")
	flags.StringVar(&f.ProfileAddress, "pprof-address", "0", "address of Go's profiles at /debug/pprof, such as localhost:6060, for whoever can reach it; 0 for none")
	flags.BoolVar(&f.LeaderElect, "leader-elect", false, "let only one of several agents work, the others stand by")
	flags.IntVar(&f.Kustomizations.Concurrent, "concurrent", 0, "how many Kustomizations are worked on at once (default 8)")
	flags.StringVar(&f.Kustomizations.DefaultServiceAccount, "default-service-account", "",
		"service account as which objects are applied where a Kustomization names none")
	flags.BoolVar(&f.Kustomizations.AllowAgentIdentity, "allow-agent-identity", false,
		"apply as the agent itself where no service account is named: who may create Kustomizations may then do all that the agent may")
	flags.BoolVar(&f.Kustomizations.NoCrossNamespaceRefs, "no-cross-namespace-refs", false, "refuse sources and dependencies of other namespaces")
	flags.BoolVar(&f.Kustomizations.AdditiveReadyExpr, "additive-ready-expr", false,
		"a dependency with a readyExpr must be Ready besides; Flux's feature gate AdditiveCELDependencyCheck")
	flags.DurationVar(&f.Kustomizations.Sweep, "sweep", 6*time.Hour, "how often everything is applied again although nothing seems to have changed")
	flags.DurationVar(&f.Kustomizations.RecordWithin, "record-within", 10*time.Second,
		"how long a commit that changes nothing for a Kustomization may go unrecorded in its status; longer, and commits share a write")
	flags.StringToInt64Var(&f.sourceLimits, "source-limits", nil,
		"bounds of one source instead of the defaults, such as MaxTreeBytes=536870912,MaxFiles=100000; what exceeds one is refused by its name")
	flags.BoolVar(&f.AllowFile, "allow-file-urls", false, "serve file:// URLs of Git repositories on this machine; never where others may create sources")
	f.trust.add(flags)
	flags.StringVar(&f.OTLPEndpoint, "otlp-endpoint", "",
		"send traces to this OTLP/HTTP collector, such as http://collector:4318 (default: what OTEL_EXPORTER_OTLP_ENDPOINT says; without either none are made)")
	flags.StringVar(&f.Serve, "serve", "", "serve nothing but this part of Slipway, in the agent's place, which lets it: "+strings.Join(agent.PartNames(), ", ")+
		"; it takes --leader-elect, in the agent's namespace (default: everything that no such process asks to serve)")
	flags.StringVar(&f.slot, "slot", os.Getenv(upgrade.SlotEnv), "place of this agent in its cluster, a or b, for self-upgrade (default: what "+upgrade.SlotEnv+" says; without either it has no part in that)")
	flags.BoolVar(&f.selfUpgrade, "self-upgrade", true, "carry out AgentUpgrades; also off where "+upgrade.OffEnv+"=off")
	flags.BoolVar(&f.probe, "probe", false, "don't run: try whether an agent of this version could work in this cluster, and say so")
	flags.StringVar(&f.probeResult, "probe-result", "/dev/termination-log", "with --probe: file for the result, as JSON")
	flags.StringVar(&f.logLevel, "log-level", "info", "trace, debug, info or error")
	flags.StringVar(&f.logEncoding, "log-encoding", "json", "json, or console for people")
	completeWords(cmd, "serve", agent.PartNames()...)
	completeWords(cmd, "log-level", "trace", "debug", "info", "error")
	completeWords(cmd, "log-encoding", "json", "console")
}

func completeWords(cmd *cobra.Command, flag string, words ...string) {
	// The flag exists: this can only fail for one that does not.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

func (a *App) runAgent(cmd *cobra.Command, f *agentFlags) error {
	log, err := a.logger(f.logLevel, f.logEncoding)
	if err != nil {
		return err
	}
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	loader, err := a.clientConfig()
	if err != nil {
		return err
	}
	config, err := loader.ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return errNoCluster
	}
	if err != nil {
		return fmt.Errorf("load kubeconfig: %w", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return fmt.Errorf("load kubeconfig: %w", err)
	}
	f.Log = log
	if err := f.settle(namespace); err != nil {
		return err
	}
	if f.probe {
		return a.probeAgent(cmd.Context(), config, f)
	}
	if f.DataDir == "" {
		if f.DataDir, err = defaultDataDir(); err != nil {
			return err
		}
	}
	logLibraries(log)
	return agent.Run(cmd.Context(), config, f.Options)
}

// settle reads into the options what the flags say in other words. namespace is the agent's own.
func (f *agentFlags) settle(namespace string) error {
	var err error
	f.LeaseNamespace, f.Version = namespace, ownVersion()
	f.Traces = f.OTLPEndpoint != "" || telemetry.TracingAsked(os.Getenv)
	if !f.allNamespaces {
		f.Namespaces = []string{namespace}
	}
	f.Advertise = bracketed(f.Advertise)
	if f.Selector, err = labels.Parse(f.selector); err != nil {
		return usagef("--watch-label-selector: %w", err)
	}
	if f.Sources.Limits, err = gitsource.ParseLimits(f.sourceLimits); err != nil {
		return usagef("--source-limits: %w", err)
	}
	if f.Slot, err = parseSlot(f.slot); err != nil {
		return err
	}
	switch {
	case f.Serve == "":
	case !slices.Contains(agent.PartNames(), f.Serve):
		return usagef("--serve %q is none of %s", f.Serve, strings.Join(agent.PartNames(), ", "))
	case !f.LeaderElect:
		return usagef("--serve needs --leader-elect: the agent lets go of what somebody else asks to serve, and takes it back, by a lease")
	}
	f.NoSelfUpgrade = !f.selfUpgrade || os.Getenv(upgrade.OffEnv) == "off"
	trusted, err := f.trust.read()
	if err != nil {
		return err
	}
	f.InsecureRegistries, f.Verify, f.TrustedRoot = trusted.Insecure, trusted.Verify, trusted.TrustedRoot
	return nil
}

// bracketed puts the brackets around an IPv6 address in a URL without which it is none: a pod's address is put into its arguments as it is.
func bracketed(base string) string {
	scheme, rest, ok := strings.Cut(base, "://")
	at := strings.LastIndex(rest, ":")
	if !ok || at < 0 {
		return base
	}
	if ip, err := netip.ParseAddr(rest[:at]); err != nil || !ip.Is6() {
		return base
	}
	return scheme + "://[" + rest[:at] + "]" + rest[at:]
}

func defaultDataDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder (set --data-dir): %w", err)
	}
	return filepath.Join(dir, "slipway", "agent"), nil
}

// logger writes JSON with the keys that Flux's tools read: level, ts, msg, controllerKind, name, namespace.
func (a *App) logger(level, encoding string) (logr.Logger, error) {
	levels := map[string]zapcore.Level{"trace": -2, "debug": zapcore.DebugLevel, "info": zapcore.InfoLevel, "error": zapcore.ErrorLevel}
	at, ok := levels[level]
	if !ok {
		return logr.Logger{}, usagef("--log-level %q is none of trace, debug, info, error", level)
	}
	opts := []zap.Opts{zap.WriteTo(a.Err), zap.Level(at), zap.StacktraceLevel(zapcore.PanicLevel)}
	iso := func(c *zapcore.EncoderConfig) { c.EncodeTime = zapcore.RFC3339NanoTimeEncoder }
	switch encoding {
	case "json":
		opts = append(opts, zap.JSONEncoder(iso))
	case "console":
		opts = append(opts, zap.ConsoleEncoder(iso))
	default:
		return logr.Logger{}, usagef("--log-encoding %q is neither json nor console", encoding)
	}
	return zap.New(opts...), nil
}
