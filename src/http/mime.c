#include "http/mime.h"

#define TEXT(subtype) "text/" subtype "; charset=utf-8", true

/* Sorted by extension. What is not compressible is compressed already, by its own format. */
static const struct {
    const char *extension;
    const char *name;
    bool is_compressible;
} types[] = {
    {"3gp", "video/3gpp", false},
    {"7z", "application/x-7z-compressed", false},
    {"aac", "audio/aac", false},
    {"ai", "application/postscript", true},
    {"apk", "application/vnd.android.package-archive", false},
    {"apng", "image/apng", false},
    {"asc", TEXT("plain")},
    {"atom", "application/atom+xml", true},
    {"avi", "video/x-msvideo", false},
    {"avif", "image/avif", false},
    {"bin", "application/octet-stream", false},
    {"bmp", "image/bmp", true},
    {"br", "application/octet-stream", false},
    {"bz2", "application/x-bzip2", false},
    {"cbor", "application/cbor", true},
    {"cjs", TEXT("javascript")},
    {"conf", TEXT("plain")},
    {"crt", "application/x-x509-ca-cert", true},
    {"css", TEXT("css")},
    {"csv", TEXT("csv")},
    {"deb", "application/vnd.debian.binary-package", false},
    {"der", "application/x-x509-ca-cert", true},
    {"diff", TEXT("x-diff")},
    {"dmg", "application/octet-stream", false},
    {"doc", "application/msword", true},
    {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", false},
    {"eot", "application/vnd.ms-fontobject", true},
    {"eps", "application/postscript", true},
    {"epub", "application/epub+zip", false},
    {"exe", "application/octet-stream", false},
    {"flac", "audio/flac", false},
    {"geojson", "application/geo+json", true},
    {"gif", "image/gif", false},
    {"glb", "model/gltf-binary", true},
    {"gltf", "model/gltf+json", true},
    {"gz", "application/gzip", false},
    {"heic", "image/heic", false},
    {"heif", "image/heif", false},
    {"htm", TEXT("html")},
    {"html", TEXT("html")},
    {"ico", "image/vnd.microsoft.icon", true},
    {"ics", TEXT("calendar")},
    {"img", "application/octet-stream", false},
    {"ini", TEXT("plain")},
    {"iso", "application/octet-stream", false},
    {"jar", "application/java-archive", false},
    {"jpeg", "image/jpeg", false},
    {"jpg", "image/jpeg", false},
    {"js", TEXT("javascript")},
    {"json", "application/json", true},
    {"jsonld", "application/ld+json", true},
    {"jxl", "image/jxl", false},
    {"kml", "application/vnd.google-earth.kml+xml", true},
    {"log", TEXT("plain")},
    {"m3u8", "application/vnd.apple.mpegurl", true},
    {"m4a", "audio/mp4", false},
    {"m4v", "video/mp4", false},
    {"map", "application/json", true},
    {"markdown", TEXT("markdown")},
    {"md", TEXT("markdown")},
    {"mid", "audio/midi", true},
    {"mjs", TEXT("javascript")},
    {"mkv", "video/x-matroska", false},
    {"mov", "video/quicktime", false},
    {"mp3", "audio/mpeg", false},
    {"mp4", "video/mp4", false},
    {"mpd", "application/dash+xml", true},
    {"mpeg", "video/mpeg", false},
    {"mpg", "video/mpeg", false},
    {"odp", "application/vnd.oasis.opendocument.presentation", false},
    {"ods", "application/vnd.oasis.opendocument.spreadsheet", false},
    {"odt", "application/vnd.oasis.opendocument.text", false},
    {"oga", "audio/ogg", false},
    {"ogg", "audio/ogg", false},
    {"ogv", "video/ogg", false},
    {"opus", "audio/ogg", false},
    {"otf", "font/otf", true},
    {"patch", TEXT("x-diff")},
    {"pdf", "application/pdf", false},
    {"pem", "application/x-pem-file", true},
    {"png", "image/png", false},
    {"ppt", "application/vnd.ms-powerpoint", true},
    {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation", false},
    {"ps", "application/postscript", true},
    {"rar", "application/vnd.rar", false},
    {"rpm", "application/x-rpm", false},
    {"rss", "application/rss+xml", true},
    {"rtf", "application/rtf", true},
    {"sh", TEXT("x-shellscript")},
    {"sql", "application/sql", true},
    {"svg", "image/svg+xml", true},
    {"svgz", "image/svg+xml", false},
    {"tar", "application/x-tar", true},
    {"tgz", "application/gzip", false},
    {"tif", "image/tiff", true},
    {"tiff", "image/tiff", true},
    {"toml", "application/toml", true},
    {"ts", "video/mp2t", false},
    {"ttf", "font/ttf", true},
    {"txt", TEXT("plain")},
    {"vcf", TEXT("vcard")},
    {"vtt", TEXT("vtt")},
    {"wasm", "application/wasm", true},
    {"wav", "audio/wav", true},
    {"weba", "audio/webm", false},
    {"webm", "video/webm", false},
    {"webmanifest", "application/manifest+json", true},
    {"webp", "image/webp", false},
    {"woff", "font/woff", false},
    {"woff2", "font/woff2", false},
    {"xhtml", "application/xhtml+xml", true},
    {"xls", "application/vnd.ms-excel", true},
    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", false},
    {"xml", "application/xml", true},
    {"xsl", "application/xslt+xml", true},
    {"xslt", "application/xslt+xml", true},
    {"xz", "application/x-xz", false},
    {"yaml", "application/yaml", true},
    {"yml", "application/yaml", true},
    {"zip", "application/zip", false},
    {"zst", "application/zstd", false},
};

struct mime_type mime_type_of(struct slice file_name)
{
    const char *dot = file_name.size ? memrchr(file_name.data, '.', file_name.size) : NULL;
    if (dot) {
        struct slice extension = slice_skip(file_name, (size_t)(dot - file_name.data) + 1);
        size_t low = 0, high = ARRAY_SIZE(types);
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            size_t size = strlen(types[middle].extension);
            int order = strncasecmp(extension.data, types[middle].extension, MIN(extension.size, size));
            if (order == 0)
                order = (extension.size > size) - (extension.size < size);
            if (order == 0)
                return (struct mime_type){types[middle].name, types[middle].is_compressible};
            if (order < 0)
                high = middle;
            else
                low = middle + 1;
        }
    }
    return (struct mime_type){"application/octet-stream", false};
}
