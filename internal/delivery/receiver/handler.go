package receiver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	apiv1 "github.com/fluxcd/notification-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	"github.com/go-logr/logr"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// wakeTimeout bounds what one webhook makes the agent do. It goes on when the sender hangs up: what was proved is done.
const wakeTimeout = 20 * time.Second

const tooMany = http.StatusTooManyRequests

// refusal is why a call is not served, in the words that its sender gets. They never quote what was sent.
type refusal struct {
	status  int
	message string
}

func refuse(status int, message string) *refusal { return &refusal{status, message} }

// ServeHTTP answers POST /hook/DIGEST. 200: everything that the Receiver names and its filter admits was woken, or the event is none of
// spec.events. 4xx: the call is wrong, and would be again. 429, 500 and 503: it may be sent again.
func (r *Reconciler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	status := http.StatusOK
	message, refused := r.serve(w, req)
	if refused != nil {
		status, message = refused.status, refused.message
	}
	switch status {
	case tooMany, http.StatusServiceUnavailable, http.StatusInternalServerError:
		w.Header().Set("Retry-After", "5")
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	}
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, message) // who hung up doesn't read it
}

func (r *Reconciler) serve(w http.ResponseWriter, req *http.Request) (string, *refusal) {
	if req.Method != http.MethodPost {
		return "", refuse(http.StatusMethodNotAllowed, "webhooks are sent with POST")
	}
	obj, err := r.find(req.Context(), req.URL.Path)
	if err != nil {
		return "", refuse(http.StatusInternalServerError, "the agent can't look for the Receiver now")
	}
	if obj == nil {
		return "", refuse(http.StatusNotFound, "no Receiver has this address")
	}
	key := client.ObjectKeyFromObject(obj)
	log := ctrl.Log.WithName("webhook").WithValues("controllerKind", apiv1.ReceiverKind, "namespace", key.Namespace, "name", key.Name)
	if refused := ready(obj); refused != nil {
		return "", refused
	}
	leave, refused := r.gates.enter(req.Context(), key)
	if refused != nil {
		return "", refused
	}
	c := &call{Reconciler: r, obj: obj, log: log}
	message, refused := c.handle(w, req)
	leave(refused != nil && refused.status == http.StatusUnauthorized)
	if refused != nil {
		log.Info("Webhook refused", "status", refused.status, "reason", refused.message)
	}
	return message, refused
}

// ready refuses calls to a Receiver that is not served now.
func ready(obj *apiv1.Receiver) *refusal {
	switch {
	case obj.Spec.Suspend:
		return refuse(http.StatusServiceUnavailable, "the Receiver is suspended")
	case !apimeta.IsStatusConditionTrue(obj.Status.Conditions, meta.ReadyCondition) || !obj.DeletionTimestamp.IsZero():
		return refuse(http.StatusServiceUnavailable, "the Receiver is not ready; its conditions say why")
	}
	return nil
}

// call is one webhook that has come to a Receiver.
type call struct {
	*Reconciler
	obj *apiv1.Receiver
	log logr.Logger
}

func (c *call) handle(w http.ResponseWriter, req *http.Request) (string, *refusal) {
	proof, refused := c.proof(req)
	if refused != nil {
		return "", refused
	}
	filtered := c.filtered()
	body, refused := read(w, req, proof, filtered)
	if refused != nil {
		return "", refused
	}
	if !proof.good() {
		return "", refuse(http.StatusUnauthorized, "the signature doesn't match the body and the Receiver's token")
	}
	event := eventOf(c.obj.Spec.Type, req.Header)
	if !c.wants(event) {
		return "nothing to do: the event is none of spec.events", nil
	}
	leave, refused := c.gates.work(req.Context(), client.ObjectKeyFromObject(c.obj), filtered)
	if refused != nil {
		return "", refused
	}
	defer leave()
	var payload map[string]any
	if filtered {
		if payload, refused = decode(req.Header, body); refused != nil {
			return "", refused
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), wakeTimeout)
	defer cancel()
	return c.report(c.wake(ctx, payload))
}

// proof says what the call must prove, with the token as it is now.
func (c *call) proof(req *http.Request) (proof, *refusal) {
	token := ""
	if c.obj.Spec.Type != apiv1.GenericReceiver {
		var err error
		var missing *errToken
		switch token, err = c.token(req.Context(), c.obj); {
		case errors.As(err, &missing):
			return proof{}, refuse(http.StatusServiceUnavailable, "the Receiver has no token now")
		case err != nil:
			c.log.Error(err, "Token not read")
			return proof{}, refuse(http.StatusInternalServerError, "the Receiver's token can't be read now")
		}
	}
	p, err := proofOf(c.obj.Spec.Type, req.Header, token)
	if err != nil {
		return proof{}, refuse(http.StatusUnauthorized, err.Error())
	}
	return p, nil
}

// filtered tells whether an expression reads the body.
func (c *call) filtered() bool {
	return c.obj.Spec.ResourceFilter != "" ||
		slices.ContainsFunc(c.obj.Spec.Resources, func(r apiv1.ReceiverResource) bool { return r.Filter != "" })
}

// eventOf returns what happened, in the sender's words; empty where the type knows no events.
func eventOf(receiverType string, header http.Header) string {
	switch receiverType {
	case apiv1.GitHubReceiver:
		return header.Get("X-GitHub-Event")
	case apiv1.GitLabReceiver:
		return header.Get("X-Gitlab-Event")
	}
	return ""
}

// wants tells whether an event is one that the Receiver is for.
func (c *call) wants(event string) bool {
	switch c.obj.Spec.Type {
	case apiv1.GitHubReceiver, apiv1.GitLabReceiver:
		return len(c.obj.Spec.Events) == 0 ||
			slices.ContainsFunc(c.obj.Spec.Events, func(e string) bool { return strings.EqualFold(e, event) })
	}
	return true
}

// report turns what was woken into an answer. What the Receiver's owner must mend is told on the Receiver; sending the call again mends
// only what was the API server's trouble.
func (c *call) report(out outcome) (string, *refusal) {
	c.log.Info("Webhook handled", "woken", len(out.woken), "passedOver", out.passed, "missing", len(out.missing))
	if len(out.missing) > 0 {
		c.events.Event(c.obj, nil, true, "ResourceNotFound", "A webhook came for what doesn't exist: "+strings.Join(out.missing, ", ")+"; correct spec.resources")
	}
	if out.filter != nil {
		c.events.Event(c.obj, nil, true, "FilterFailed", out.filter.Error())
	}
	switch {
	case out.err != nil:
		c.log.Error(out.err, "Not everything was woken")
		return "", refuse(http.StatusInternalServerError, "not everything could be woken; the agent's log says why")
	case out.filter != nil:
		return "", refuse(http.StatusUnprocessableEntity, out.filter.Error())
	}
	return fmt.Sprintf("woken: %d, not meant: %d, not found: %d", len(out.woken), out.passed, len(out.missing)), nil
}
