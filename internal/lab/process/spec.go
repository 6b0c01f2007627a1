package process

import (
	"os"
	"strings"
	"time"
)

// The marks in a component's environment.
const (
	labMark       = "SLIPWAY_LAB"
	componentMark = "SLIPWAY_COMPONENT"
	// programMark repeats argv[0]. Children inherit the other marks (containerd's shims outlive it), but not this name.
	programMark = "SLIPWAY_PROGRAM"
)

// Spec says how a component runs.
type Spec struct {
	// Lab is the folder of the lab that it is part of, Name what it is called there.
	Lab, Name string
	// Program is the path of the executable, Args what follows it.
	Program string
	Args    []string
	// Dir is the working folder.
	Dir string
	// Env is added to the caller's environment.
	Env []string
	// Log is the file that its output is appended to.
	Log string
	// Isolated starts it in PID, mount, network, UTS and IPC namespaces of its own.
	Isolated bool
	// Within is the PID of the process whose namespaces it joins; 0 leaves it in the caller's.
	Within int
}

// Process is a component that runs.
type Process struct {
	PID       int
	Lab, Name string
	Started   time.Time
}

// environment is the caller's without what would confuse a component, and with its marks.
func (s Spec) environment() []string {
	var env []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if !foreign(name) {
			env = append(env, entry)
		}
	}
	env = append(env, s.Env...)
	// An administrator's folders are in root's PATH, but not always in that of who has become root.
	env = append(env, "PATH="+os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin")
	return append(env, labMark+"="+s.Lab, componentMark+"="+s.Name, programMark+"="+s.Program)
}

// foreign reports variables that mean something to the caller but would change what a component does: proxies (the components
// talk to each other only), clusters, service managers' sockets, and the marks of a lab that the caller itself runs in.
func foreign(name string) bool {
	switch strings.ToUpper(name) {
	case "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "KUBECONFIG", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID",
		"KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", labMark, componentMark, programMark:
		return true
	}
	return strings.HasPrefix(name, "ETCD_")
}
