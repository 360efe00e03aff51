// Command hello greets until it is told to stop.
//
//	hello -to NAME [-every 1s]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const version = "1.0.0"

func main() {
	to := flag.String("to", "", "whom to greet")
	every := flag.Duration("every", time.Second, "how long to wait between two greetings")
	flag.Parse()
	fmt.Printf("version %s, PID %d, user %d, arguments %q\n", version, os.Getpid(), os.Getuid(), os.Args[1:])
	if *to == "" || *every <= 0 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	tick := time.NewTicker(*every)
	for {
		fmt.Printf("hello, %s\n", *to)
		select {
		case <-ctx.Done():
			fmt.Println("bye")
			return
		case <-tick.C:
		}
	}
}
