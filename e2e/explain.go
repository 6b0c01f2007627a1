package e2e

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/lab/await"
)

// explain logs what one wants to know about a story that didn't come true.
func (s *Story) explain() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var text strings.Builder
	for _, list := range ourKinds() {
		if err := s.Client.List(ctx, list, client.InNamespace(s.Namespace)); err != nil {
			fmt.Fprintf(&text, "list: %v\n", err)
			continue
		}
		for _, obj := range items(list) {
			fmt.Fprintf(&text, "%T %s, generation %d\n", obj, obj.GetName(), obj.GetGeneration())
			if c, ok := obj.(interface{ GetConditions() []metav1.Condition }); ok {
				for _, condition := range c.GetConditions() {
					fmt.Fprintf(&text, "  %s\n", await.Describe(condition))
				}
			}
		}
	}
	var events corev1.EventList
	if err := s.Client.List(ctx, &events, client.InNamespace(s.Namespace)); err == nil {
		for _, e := range events.Items {
			fmt.Fprintf(&text, "event %s %s/%s %s: %s\n", e.Type, e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Reason, e.Message)
		}
	}
	s.T.Logf("namespace %s:\n%sthe agent's last words about it:\n%s", s.Namespace, text.String(), s.lastWords(30))
}

// lastWords are the lines of the agent's log that name the story's namespace,
// or its very last ones when there are none.
func (s *Story) lastWords(n int) string {
	var about []string
	for line := range strings.SplitSeq(s.Agent.Log(2000), "\n") {
		if strings.Contains(line, s.Namespace) {
			about = append(about, line)
		}
	}
	if len(about) == 0 {
		return s.Agent.Log(n)
	}
	return strings.Join(about[max(0, len(about)-n):], "\n")
}
