package cli

import (
	"strings"
	"time"

	notificationv1 "github.com/fluxcd/notification-controller/api/v1"
	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// receiverInterval is the API's own default.
const receiverInterval = 10 * time.Minute

func newCreateReceiver(app *App) *cobra.Command {
	var (
		spec      notificationv1.ReceiverSpec
		secret    string
		resources []string
	)
	cmd := &cobra.Command{
		Use:   "receiver NAME",
		Short: "Write a Receiver",
		Long: `Make a Receiver from flags, for Git or into the cluster. The Secret with the key "token" comes first; once the Receiver is
ready, 'slipway get receivers' shows the path that webhooks go to.`,
		Example: `  kubectl create secret generic push-token --from-literal=token="$(openssl rand -hex 32)"
  slipway create receiver push --type github --event push --secret-ref push-token --resource GitRepository/shop`,
	}
	flags := cmd.Flags()
	flags.StringVar(&spec.Type, "type", "", "who calls: generic, generic-hmac, github or gitlab")
	flags.StringSliceVar(&spec.Events, "event", nil, "only these events, such as push (default: all)")
	flags.StringVar(&secret, "secret-ref", "", "name of the Secret with the token")
	flags.StringSliceVar(&resources, "resource", nil, "what is woken, KIND/NAME; more of them with commas")
	return app.creating(creation{kind: receiverKind(), command: cmd, interval: receiverInterval, make: func(f *createFlags) (delivered, error) {
		if err := required(map[string]string{"type": spec.Type, "secret-ref": secret, "resource": strings.Join(resources, ",")}); err != nil {
			return nil, err
		}
		spec.SecretRef, spec.Interval, spec.Resources = secretRef(secret), &metav1.Duration{Duration: f.interval}, nil
		for _, text := range resources {
			kind, name, ok := strings.Cut(text, "/")
			if !ok || kind == "" || name == "" {
				return nil, usagef("--resource %s: want KIND/NAME", text)
			}
			spec.Resources = append(spec.Resources, notificationv1.ReceiverResource{
				CrossNamespaceObjectReference: notificationv1.CrossNamespaceObjectReference{Kind: namedAs(kind), Name: name},
			})
		}
		return &notificationv1.Receiver{Spec: spec}, nil
	}})
}
