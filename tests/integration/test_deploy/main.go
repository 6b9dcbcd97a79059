// The tests' service: it serves, crashes, or does a job, as its environment says.
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() { <-stop; os.Exit(0) }()
	switch os.Getenv("MODE") {
	case "crash":
		fmt.Println("##vso[task.complete result=Succeeded]cannot reach the database")
		os.Exit(3)
	case "hog":
		var hold [][]byte
		for {
			block := make([]byte, 1<<20)
			for i := range block {
				block[i] = 1
			}
			hold = append(hold, block)
		}
	case "job":
		seconds, _ := strconv.Atoi(os.Getenv("SECONDS"))
		fmt.Println("migrating", os.Getenv("GREETING"))
		time.Sleep(time.Duration(seconds) * time.Second)
		code, _ := strconv.Atoi(os.Getenv("EXIT"))
		fmt.Println("migration ends with", code)
		os.Exit(code)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "hello from", os.Getenv("VERSION"))
	})
	fmt.Println(http.ListenAndServe(":8080", nil))
}
