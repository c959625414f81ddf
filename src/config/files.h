#pragma once
/* Which files make up the configuration, and their contents. */

#include "config/config.h"
#include "config/report.h"

#define CONFIG_FILE_SIZE_MAX (64u << 20)

/* The main file and the drop-ins that are in effect, in the order in which they are read, as a
 * NULL-terminated list for strv_free(). What cannot be listed goes to `report`; the list holds the rest. */
char **config_files_list(const struct config_source *source, struct config_report *report);
/* Reads a whole file. False when it went to `report` instead. The caller frees *ret_data. */
bool config_file_read(const char *path, char **ret_data, size_t *ret_size, struct config_report *report);
