// ginapp is an HTTP app for the tests, in Go with gin, written as the articles on graceful Gin services have
// it: it listens on the socket that systemd passes, or on -listen; on SIGTERM it calls Shutdown and is gone
// when what was in progress is done. Its endpoints are those of capp that such an app has.
//
// Build with Debian's packages: GO111MODULE=off GOPATH=/usr/share/gocode go build
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"
)

var (
	address = flag.String("listen", "", "127.0.0.1:9003, [::1]:9003 or unix:/path")
	name    = flag.String("name", "ginapp", "said in X-App and by GET /")
	ledger  = flag.String("ledger", "", "where /ledger writes")
	timeout = flag.Duration("shutdown", 30*time.Second, "how long SIGTERM waits for what is in progress")
)

func number(c *gin.Context, key string, fallback int) int {
	n, err := strconv.Atoi(c.Query(key))
	if err != nil {
		return fallback
	}
	return n
}

func hello(c *gin.Context) {
	c.String(http.StatusOK, "hello from %s\n", *name)
}

func echo(c *gin.Context) {
	body, err := io.ReadAll(c.Request.Body)
	if err != nil {
		c.AbortWithStatus(http.StatusBadRequest)
		return
	}
	if len(body) == 0 {
		body = []byte(c.GetHeader("X-Request-ID"))
	}
	c.Data(http.StatusOK, "text/plain", body)
}

func slow(c *gin.Context) {
	select {
	case <-time.After(time.Duration(number(c, "ms", 1000)) * time.Millisecond):
		hello(c)
	case <-c.Request.Context().Done():
	}
}

func stream(c *gin.Context) {
	n, pause := number(c, "n", 5), time.Duration(number(c, "ms", 1000))*time.Millisecond
	step := 0
	c.Stream(func(w io.Writer) bool {
		if step > 0 {
			time.Sleep(pause)
		}
		c.SSEvent("message", step)
		step++
		return step < n
	})
}

func chunked(c *gin.Context) {
	n, size := number(c, "n", 3), number(c, "bytes", 1024)
	c.Stream(func(w io.Writer) bool {
		fmt.Fprint(w, strings.Repeat("x", size))
		n--
		return n > 0
	})
}

func status(c *gin.Context) {
	code, err := strconv.Atoi(c.Param("code"))
	if err != nil || code < 200 || code > 599 {
		c.String(http.StatusBadRequest, "/status/200 to /status/599\n")
		return
	}
	c.String(code, "as asked\n")
}

func ledgerHandler(file *os.File) gin.HandlerFunc {
	var lock sync.Mutex
	return func(c *gin.Context) {
		id := c.GetHeader("X-Request-ID")
		if file == nil || id == "" {
			c.String(http.StatusBadRequest, "/ledger needs -ledger and an X-Request-ID\n")
			return
		}
		lock.Lock()
		defer lock.Unlock()
		if _, err := fmt.Fprintln(file, id); err != nil || syscall.Fdatasync(int(file.Fd())) != nil {
			c.String(http.StatusInternalServerError, "the ledger cannot be written\n")
			return
		}
		c.String(http.StatusOK, "%s\n", id)
	}
}

func routes(file *os.File) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.Use(gin.Recovery(), func(c *gin.Context) {
		c.Header("X-App", *name)
		if id := c.GetHeader("X-Request-ID"); id != "" {
			c.Header("X-Request-ID", id)
		}
	})
	engine.GET("/", hello)
	engine.GET("/healthz", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	engine.Any("/echo", echo)
	engine.GET("/slow", slow)
	engine.GET("/stream", stream)
	engine.GET("/chunked", chunked)
	engine.GET("/big", func(c *gin.Context) {
		c.String(http.StatusOK, strings.Repeat("x", number(c, "bytes", 1<<20)))
	})
	engine.GET("/close", func(c *gin.Context) { c.Header("Connection", "close"); hello(c) })
	engine.Any("/status/:code", status)
	engine.Any("/ledger", ledgerHandler(file))
	return engine
}

func listen() (net.Listener, error) {
	if os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) {
		return net.FileListener(os.NewFile(3, "systemd"))
	}
	if path := strings.TrimPrefix(*address, "unix:"); path != *address {
		os.Remove(path)
		return net.Listen("unix", path)
	}
	if *address == "" {
		return nil, fmt.Errorf("nothing to listen on: give -listen, or start it by a socket unit")
	}
	return net.Listen("tcp", *address)
}

func notify(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	if conn, err := net.Dial("unixgram", path); err == nil {
		defer conn.Close()
		io.WriteString(conn, state)
	}
}

func main() {
	flag.Parse()
	log.SetFlags(0)
	log.SetPrefix("ginapp: ")
	var file *os.File
	if *ledger != "" {
		var err error
		if file, err = os.OpenFile(*ledger, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644); err != nil {
			log.Fatal(err)
		}
	}
	listener, err := listen()
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: routes(file)}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	go func() {
		if err := server.Serve(listener); err != http.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	notify("READY=1")
	<-ctx.Done()
	notify("STOPPING=1")
	deadline, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	if err := server.Shutdown(deadline); err != nil {
		log.Fatal(err)
	}
}
