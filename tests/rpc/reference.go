// A server with nothing but Go's standard library, for the same calls as
// examples/rpc_server: what that one answers is compared with this.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/rpc"
	"net/rpc/jsonrpc"
)

type Argument struct {
	ID uint64 `json:"id"`
}

type Done struct {
	ID       uint64 `json:"id"`
	Attempts uint32 `json:"attempts"`
}

type Worker struct{}

func (Worker) Do(argument Argument, done *Done) error {
	*done = Done{ID: argument.ID, Attempts: 1}
	return nil
}

func main() {
	log.SetOutput(io.Discard)
	if err := rpc.Register(Worker{}); err != nil {
		panic(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("calls: %s\n", listener.Addr())
	for {
		conn, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go jsonrpc.ServeConn(conn)
	}
}
