package cli

import (
	"errors"
	"fmt"
	"net"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
)

var errNoCluster = errors.New("no cluster to work on: there is no kubeconfig, and this isn't a pod\n" +
	"Give one with --kubeconfig FILE or $KUBECONFIG. Without a cluster, 'slipway up' starts a local one; use it with\n" +
	"'--lab NAME', or for kubectl too with 'slipway kubeconfig > lab.yaml && export KUBECONFIG=$PWD/lab.yaml'")

// explain adds what to do about the errors that come from the cluster rather than from the verb.
func explain(err error) string {
	var (
		unreachable *net.OpError
		request     *url.Error
	)
	switch {
	case meta.IsNoMatchError(err):
		return fmt.Sprintf("%v\nThis cluster doesn't know the kind. If Slipway isn't installed there yet, 'slipway install' does it.", err)
	case errors.As(err, &unreachable) && errors.As(err, &request):
		host := request.URL
		if u, parseErr := url.Parse(request.URL); parseErr == nil {
			host = u.Host
		}
		return fmt.Sprintf("the cluster at %s doesn't answer: %v\nIs it the right kubeconfig (--kubeconfig, --context)? For a lab, "+
			"'slipway status' says what is wrong and 'slipway up' mends it.", host, unreachable)
	case apierrors.IsUnauthorized(err):
		return fmt.Sprintf("%v: the cluster doesn't accept the credentials of this kubeconfig; log in again or use another --context", err)
	case apierrors.IsForbidden(err):
		return fmt.Sprintf("%v\nThe user of this kubeconfig may not do that; ask for the permission or use another --context.", err)
	default:
		return err.Error()
	}
}
