// A client of examples/rpc_server with nothing but Go's standard library:
// a thousand calls from ten goroutines over one connection, and one of a
// method that there is not.
package main

import (
	"fmt"
	"log"
	"net/rpc/jsonrpc"
	"os"
	"sync"
	"sync/atomic"
)

type Argument struct {
	ID     uint64 `json:"id"`
	WorkUS uint64 `json:"work_us"`
}

type Done struct {
	ID       uint64 `json:"id"`
	Attempts uint32 `json:"attempts"`
}

func main() {
	client, err := jsonrpc.Dial("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var ok, panicked int64
	var all sync.WaitGroup
	for first := uint64(0); first < 10; first++ {
		all.Add(1)
		go func(id uint64) {
			defer all.Done()
			for ; id < 1000; id += 10 {
				var done Done
				err := client.Call("Worker.Do", Argument{ID: id, WorkUS: 10}, &done)
				switch {
				case err == nil && done == Done{ID: id, Attempts: 1}:
					atomic.AddInt64(&ok, 1)
				case err != nil && err.Error() == "panicked":
					atomic.AddInt64(&panicked, 1)
				default:
					log.Fatal(id, done, err)
				}
			}
		}(first)
	}
	all.Wait()
	fmt.Printf("ok: %d\npanicked: %d\n", ok, panicked)
	fmt.Println(client.Call("Worker.Dance", Argument{}, nil))
}
