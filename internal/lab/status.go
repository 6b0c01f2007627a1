package lab

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/slipway/internal/lab/process"
)

// State is how a component or a node is.
type State string

// The states.
const (
	// StateRunning is a component whose process runs and answers, StateReady the same of a node.
	StateRunning State = "Running"
	StateReady   State = "Ready"
	// StateNotReady is a component whose process runs and doesn't answer, or a node that Kubernetes holds for not ready.
	StateNotReady State = "NotReady"
	// StateDown is a component without a process, StateUnknown a node of which nothing can be said without an API server.
	StateDown    State = "Down"
	StateUnknown State = "Unknown"
)

// Status is how a lab is.
type Status struct {
	Name       string            `json:"name"`
	Nodes      Nodes             `json:"nodes"`
	Kubernetes string            `json:"kubernetes"`
	Created    time.Time         `json:"created"`
	Dir        string            `json:"dir"`
	Server     string            `json:"server"`
	Registry   string            `json:"registry,omitempty"`
	Gateway    string            `json:"gateway,omitempty"`
	Components []ComponentStatus `json:"components"`
	Workers    []NodeStatus      `json:"workers,omitempty"`
}

// ComponentStatus is how one process of a lab is.
type ComponentStatus struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	// PID and Since are those of the process, if there is one.
	PID   int        `json:"pid,omitempty"`
	Since *time.Time `json:"since,omitempty"`
	Log   string     `json:"log"`
	// Message says why it is not running.
	Message string `json:"message,omitempty"`
}

// NodeStatus is how one node is, in Kubernetes' eyes.
type NodeStatus struct {
	Name    string `json:"name"`
	State   State  `json:"state"`
	Address string `json:"address,omitempty"`
	Message string `json:"message,omitempty"`
}

// Healthy says that everything runs and answers.
func (s Status) Healthy() bool { return len(s.Problems()) == 0 }

// Problems are the components and nodes that are not as they should be, one sentence each.
func (s Status) Problems() []string {
	var problems []string
	for _, c := range s.Components {
		if c.State != StateRunning {
			problems = append(problems, fmt.Sprintf("%s is %s, see %s", c.Name, c.State, c.Log))
		}
	}
	for _, n := range s.Workers {
		if n.State != StateReady {
			problems = append(problems, fmt.Sprintf("node %s is %s: %s", n.Name, n.State, n.Message))
		}
	}
	return problems
}

// answerTimeout is how long a component may take to answer before it counts as not ready.
const answerTimeout = 2 * time.Second

// Status looks at every component and node as they are now.
func (l *Lab) Status(ctx context.Context) (Status, error) {
	status := Status{
		Name: l.Name(), Nodes: l.Nodes(), Kubernetes: l.Version(), Created: l.record.Created, Dir: l.dir,
		Server: l.plane().URL(), Registry: l.Registry(),
	}
	if l.Gateway().IsValid() {
		status.Gateway = l.Gateway().String()
	}
	phases, err := l.phases()
	if err != nil {
		return status, err
	}
	running, err := process.Find(l.dir)
	if err != nil {
		return status, err
	}
	found := map[string]process.Process{}
	for _, p := range running {
		found[p.Name] = p
	}
	for _, phase := range phases {
		for _, c := range phase {
			one, err := c.status(ctx, found)
			if err != nil {
				return status, err
			}
			status.Components = append(status.Components, one)
		}
	}
	status.Workers = l.workers(ctx)
	return status, nil
}

func (c component) status(ctx context.Context, found map[string]process.Process) (ComponentStatus, error) {
	command, err := c.command()
	if err != nil {
		return ComponentStatus{}, err
	}
	status := ComponentStatus{Name: c.name, State: StateDown, Log: command.Log, Message: "no such process"}
	p, running := found[c.name]
	if !running {
		return status, nil
	}
	status.State, status.PID, status.Since, status.Message = StateRunning, p.PID, &p.Started, ""
	if c.ready == nil {
		return status, nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if err := c.ready(ctx, p.PID); err != nil {
		status.State, status.Message = StateNotReady, err.Error()
	}
	return status, nil
}

// workers asks Kubernetes for the nodes that the lab should have.
func (l *Lab) workers(ctx context.Context) []NodeStatus {
	names := l.nodeNames()
	if len(names) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	known, err := l.listNodes(ctx)
	statuses := make([]NodeStatus, 0, len(names))
	for _, name := range names {
		switch node, ok := known[name]; {
		case err != nil:
			statuses = append(statuses, NodeStatus{Name: name, State: StateUnknown, Message: "the API server doesn't answer"})
		case !ok:
			statuses = append(statuses, NodeStatus{Name: name, State: StateNotReady, Message: "it has not registered"})
		default:
			statuses = append(statuses, statusOf(node))
		}
	}
	return statuses
}

func (l *Lab) listNodes(ctx context.Context) (map[string]corev1.Node, error) {
	config, err := l.Config()
	if err != nil {
		return nil, err
	}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	list, err := clientset.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	nodes := map[string]corev1.Node{}
	for _, node := range list.Items {
		nodes[node.Name] = node
	}
	return nodes, nil
}

func statusOf(node corev1.Node) NodeStatus {
	status := NodeStatus{Name: node.Name, State: StateNotReady, Message: "it has not reported yet"}
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeInternalIP {
			status.Address = address.Address
		}
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type != corev1.NodeReady {
			continue
		}
		status.Message = condition.Message
		if condition.Status == corev1.ConditionTrue {
			status.State, status.Message = StateReady, ""
		}
	}
	return status
}

// awaitNodes waits until all nodes are Ready.
func (l *Lab) awaitNodes(ctx context.Context) error {
	var last []NodeStatus
	err := wait.PollUntilContextCancel(ctx, 4*poll, true, func(ctx context.Context) (bool, error) {
		last = l.workers(ctx)
		for _, node := range last {
			if node.State != StateReady {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("%w; %s", err, Status{Workers: last}.Problems())
	}
	return nil
}
