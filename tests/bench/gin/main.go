// Nanoseconds per route lookup of gin, for the same routes and requests as router-bench: reads "METHOD /path"
// lines, makes one request path of every route by putting the names of the parameters in their places, and looks
// them up in a random order.
//
// Two figures: "tree" calls (*node).getValue alone, on the tree of the method, with parameters and the list of
// skipped nodes allocated beforehand as gin does it; "engine" is Engine.ServeHTTP with a handler that does nothing
// and a ResponseWriter that drops everything, which adds gin's context and its search for the method's tree.
//
// Usage: gin FILE. Prints "ROUTES TREE-MEDIAN TREE-MINIMUM ENGINE-MEDIAN ENGINE-MINIMUM", over batches. Routes that
// gin refuses are named on stderr and left out.
package main

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"sort"
	"strings"
	"time"
	"unsafe"

	"github.com/gin-gonic/gin"
)

const (
	draws           = 8192
	batches         = 41
	lookupsPerBatch = 20 * draws
)

// gin's own types, field by field: tree.go of gin 1.8, which Debian 12 has.
type nodeValue struct {
	handlers gin.HandlersChain
	params   *gin.Params
	tsr      bool
	fullPath string
}

type skippedNode struct {
	path        string
	node        unsafe.Pointer
	paramsCount int16
}

//go:linkname getValue github.com/gin-gonic/gin.(*node).getValue
func getValue(node unsafe.Pointer, path string, params *gin.Params, skipped *[]skippedNode, unescape bool) nodeValue

type probe struct {
	root    unsafe.Pointer
	path    string
	request *http.Request
}

type nullWriter struct{ header http.Header }

func (w *nullWriter) Header() http.Header         { return w.header }
func (w *nullWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w *nullWriter) WriteHeader(int)             {}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "gin:", err)
	os.Exit(1)
}

func addRoute(engine *gin.Engine, method, path string) (ok bool) {
	defer func() {
		if reason := recover(); reason != nil {
			fmt.Fprintf(os.Stderr, "gin: leaves out %s %s: %v\n", method, path, reason)
		}
	}()
	engine.Handle(method, path, func(*gin.Context) {})
	return true
}

// The root of a method's tree, which gin keeps to itself.
func roots(engine *gin.Engine) map[string]unsafe.Pointer {
	trees := reflect.ValueOf(engine).Elem().FieldByName("trees")
	found := map[string]unsafe.Pointer{}
	for i := 0; i < trees.Len(); i++ {
		found[trees.Index(i).FieldByName("method").String()] =
			trees.Index(i).FieldByName("root").UnsafePointer()
	}
	return found
}

func measure(batch func()) (median, minimum float64) {
	batch()
	var times []float64
	for i := 0; i < batches; i++ {
		begin := time.Now()
		batch()
		times = append(times, float64(time.Since(begin).Nanoseconds())/lookupsPerBatch)
	}
	sort.Float64s(times)
	return times[batches/2], times[0]
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gin FILE")
		os.Exit(2)
	}
	file, err := os.Open(os.Args[1])
	if err != nil {
		fail(err)
	}
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	type request struct{ method, path string }
	var requests []request
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) != 2 || fields[0] == "#" {
			continue
		}
		if addRoute(engine, fields[0], fields[1]) {
			path := strings.NewReplacer(":", "", "*", "").Replace(fields[1])
			requests = append(requests, request{fields[0], path})
		}
	}

	trees := roots(engine)
	var probes []probe
	for _, r := range requests {
		probes = append(probes, probe{trees[r.method], r.path,
			&http.Request{Method: r.method, URL: &url.URL{Path: r.path}}})
	}
	seed := uint32(1)
	var drawn []probe
	for i := 0; i < draws; i++ {
		seed ^= seed << 13
		seed ^= seed >> 17
		seed ^= seed << 5
		drawn = append(drawn, probes[seed%uint32(len(probes))])
	}

	params := make(gin.Params, 0, 16)
	skipped := make([]skippedNode, 0, 64)
	median, minimum := measure(func() {
		for i := 0; i < lookupsPerBatch; i++ {
			p := &drawn[i%draws]
			params = params[:0]
			skipped = skipped[:0]
			if value := getValue(p.root, p.path, &params, &skipped, false); value.handlers == nil {
				fail(fmt.Errorf("%s was not found", p.path))
			}
		}
	})
	writer := &nullWriter{http.Header{}}
	engineMedian, engineMinimum := measure(func() {
		for i := 0; i < lookupsPerBatch; i++ {
			engine.ServeHTTP(writer, drawn[i%draws].request)
		}
	})
	fmt.Printf("%d %.1f %.1f %.1f %.1f\n", len(requests), median, minimum, engineMedian, engineMinimum)
}
