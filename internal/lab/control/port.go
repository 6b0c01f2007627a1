package control

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// The range that ports are chosen from: below the ports that Linux gives to outgoing connections (from 32768), and below NodePorts
// (from 30000). Were it one of the former, a client that calls for a server that has crashed would in time be given the server's own
// port to call from, reach itself, and keep the server from coming back.
const (
	firstPort = 20000
	lastPort  = 29999
)

// portTries is how many ports FreePort tries: enough for a machine on which nine of ten are in use.
const portTries = 100

// FreePort returns a port on which nobody listens at address now.
func FreePort(address string) (int, error) {
	var last error
	for range portTries {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		listener, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
		if err == nil {
			return port, listener.Close()
		}
		last = err
	}
	return 0, fmt.Errorf("find a free port on %s: %w", address, last)
}
