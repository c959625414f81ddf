// ginapp is an HTTP app for the tests, in Go with gin, written as the articles on graceful Gin services have
// it: it listens on the socket that systemd passes, or on -listen; on SIGTERM it calls Shutdown and is gone
// when what was in progress is done. Its endpoints are those of capp that such an app has.
//
// Build with Debian's packages: GO111MODULE=off GOPATH=/usr/share/gocode go build
package main

import (
	"bytes"
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
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"
)

var (
	address = flag.String("listen", "", "127.0.0.1:9003, [::1]:9003 or unix:/path")
	name    = flag.String("name", "ginapp", "said in X-App and by GET /")
	ledger  = flag.String("ledger", "", "where /ledger writes")
	timeout = flag.Duration("shutdown", 30*time.Second, "how long SIGTERM waits for what is in progress")
	delay   = flag.Duration("start-delay", 0, "listen, and be ready, so late")
	broken  = flag.Bool("broken", false, "answer 500 to everything, until POST /break?on=0")
)

var isBroken atomic.Bool

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

// ledgerFile is what the app has executed, in a file that outlives it: a line for each request, "ID", or "ID KEY"
// where the request had an Idempotency-Key. Keys in the file are known from the start: they tell what a predecessor
// has executed.
type ledgerFile struct {
	lock     sync.Mutex
	file     *os.File
	recorded map[string]string // the id for a key
	running  map[string]bool   // keys
}

func openLedger(path string) (*ledgerFile, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	// What a power failure left of a line was never answered.
	if whole := bytes.LastIndexByte(text, '\n') + 1; whole < len(text) {
		text = text[:whole]
		if err := file.Truncate(int64(whole)); err != nil {
			return nil, err
		}
	}
	ledger := &ledgerFile{file: file, recorded: map[string]string{}, running: map[string]bool{}}
	for _, line := range strings.Split(string(text), "\n") {
		if id, key, found := strings.Cut(line, " "); found {
			ledger.recorded[key] = id
		}
	}
	return ledger, nil
}

// begin says what is known of a key; if nothing is, the request with it is running from now on.
func (ledger *ledgerFile) begin(key string) (recorded string, running bool) {
	ledger.lock.Lock()
	defer ledger.lock.Unlock()
	recorded, running = ledger.recorded[key], ledger.running[key]
	if recorded == "" && !running {
		ledger.running[key] = true
	}
	return
}

func (ledger *ledgerFile) end(key string) {
	ledger.lock.Lock()
	defer ledger.lock.Unlock()
	delete(ledger.running, key)
}

func (ledger *ledgerFile) record(id, key string) error {
	ledger.lock.Lock()
	defer ledger.lock.Unlock()
	if _, err := fmt.Fprintln(ledger.file, strings.TrimSpace(id+" "+key)); err != nil {
		return err
	}
	if err := syscall.Fdatasync(int(ledger.file.Fd())); err != nil {
		return err
	}
	if key != "" {
		ledger.recorded[key] = id
	}
	return nil
}

// handle keeps the promise of a database: answered means written down, and what has a key is done once.
func (ledger *ledgerFile) handle(c *gin.Context) {
	id, key := c.GetHeader("X-Request-ID"), c.GetHeader("Idempotency-Key")
	if ledger == nil || id == "" {
		c.String(http.StatusBadRequest, "/ledger needs -ledger and an X-Request-ID\n")
		return
	}
	if key != "" {
		if len(key) < 2 || key[0] != '"' || key[len(key)-1] != '"' {
			c.String(http.StatusBadRequest, "Idempotency-Key is a quoted string\n")
			return
		}
		recorded, running := ledger.begin(key)
		if recorded != "" {
			c.Header("Idempotent-Replayed", "true")
			c.String(http.StatusOK, "%s\n", recorded)
			return
		}
		if running {
			c.String(http.StatusConflict, "the first request with this key is still running\n")
			return
		}
		defer ledger.end(key)
	}
	time.Sleep(time.Duration(number(c, "ms", 0)) * time.Millisecond)
	if ledger.record(id, key) != nil {
		c.String(http.StatusInternalServerError, "the ledger cannot be written\n")
		return
	}
	c.String(http.StatusOK, "%s\n", id)
}

// setBroken is how everything is answered with 500, and no longer.
func setBroken(c *gin.Context) {
	isBroken.Store(number(c, "on", 1) != 0)
	c.String(http.StatusOK, "done\n")
}

func refuseWhenBroken(c *gin.Context) {
	if isBroken.Load() && c.Request.URL.Path != "/break" {
		c.String(http.StatusInternalServerError, "broken\n")
		c.Abort()
	}
}

func routes(entries *ledgerFile) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.Use(gin.Recovery(), func(c *gin.Context) {
		c.Header("X-App", *name)
		if id := c.GetHeader("X-Request-ID"); id != "" {
			c.Header("X-Request-ID", id)
		}
	}, refuseWhenBroken)
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
	engine.Any("/ledger", entries.handle)
	engine.Any("/hang", func(c *gin.Context) { <-c.Request.Context().Done() })
	engine.Any("/break", setBroken)
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
	isBroken.Store(*broken)
	var entries *ledgerFile
	if *ledger != "" {
		var err error
		if entries, err = openLedger(*ledger); err != nil {
			log.Fatal(err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	select {
	case <-time.After(*delay):
	case <-ctx.Done():
	}
	listener, err := listen()
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: routes(entries)}
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
