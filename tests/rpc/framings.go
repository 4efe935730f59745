// An unmodified net/rpc/jsonrpc client of examples/rpc_server, over streams that
// frame what it writes in other ways than it does: without line breaks, ten calls
// in a segment, pretty-printed, and a byte at a time.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/rpc"
	"net/rpc/jsonrpc"
	"os"
)

type Argument struct {
	ID uint64 `json:"id"`
}

type Done struct {
	ID       uint64 `json:"id"`
	Attempts uint32 `json:"attempts"`
}

// Each call comes as one write.
type framed struct {
	net.Conn
	frame func(conn net.Conn, call []byte) error
}

func (stream framed) Write(call []byte) (int, error) {
	return len(call), stream.frame(stream.Conn, call)
}

func unbroken(conn net.Conn, call []byte) error {
	_, err := conn.Write(bytes.TrimSpace(call))
	return err
}

func pretty(conn net.Conn, call []byte) error {
	var lines bytes.Buffer
	if err := json.Indent(&lines, call, "", "  "); err != nil {
		return err
	}
	_, err := conn.Write(lines.Bytes())
	return err
}

func bytewise(conn net.Conn, call []byte) error {
	for i := range call {
		if _, err := conn.Write(call[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

// Ten calls in one write, on one line.
func together() func(net.Conn, []byte) error {
	var calls []byte
	count := 0
	return func(conn net.Conn, call []byte) error {
		calls = append(calls, bytes.TrimSpace(call)...)
		if count++; count%10 != 0 {
			return nil
		}
		_, err := conn.Write(calls)
		calls = nil
		return err
	}
}

func main() {
	for name, frame := range map[string]func(net.Conn, []byte) error{
		"unbroken": unbroken, "pretty": pretty, "bytewise": bytewise, "together": together(),
	} {
		conn, err := net.Dial("tcp", os.Args[1])
		if err != nil {
			log.Fatal(err)
		}
		client := jsonrpc.NewClient(framed{conn, frame})
		var calls []*rpc.Call
		for id := uint64(0); id < 50; id++ {
			calls = append(calls, client.Go("Worker.Do", Argument{ID: id}, new(Done), nil))
		}
		for id, call := range calls {
			<-call.Done
			if done := *call.Reply.(*Done); call.Error != nil || done != (Done{uint64(id), 1}) {
				log.Fatal(name, id, done, call.Error)
			}
		}
		fmt.Println(name, "ok")
		client.Close()
	}
}
