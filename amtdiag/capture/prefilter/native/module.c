/* The Python side of sieve.c, in the limited API: one build serves Python 3.11 and all that come after it. */
#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

#include "decode.h"
#include "sieve.h"

typedef struct {
    PyObject_HEAD
    struct sieve *sieve;
    bool walking; /* without the GIL: no other thread may change what is watched */
    PyObject *layout; /* a tuple, and what it says: a file's calls all come with the same */
    struct pcap_layout pcap;
} Sieve;

static bool is_free(const Sieve *self)
{
    if (self->walking)
        PyErr_SetString(PyExc_RuntimeError, "a sieve is for one thread at a time");
    return !self->walking;
}

static PyObject *sieve_create(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    const char *tcp_ports, *udp_ports, *head, *links;
    Py_ssize_t tcp_size, udp_size, head_size, link_size;
    unsigned int head_length;
    unsigned char icmp, icmpv6;
    unsigned long long seed;
    static char *names[] = {"tcp_ports", "udp_ports", "head", "head_length", "messages", "links", "seed", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y#y#y#I(bb)y#K", names, &tcp_ports, &tcp_size, &udp_ports, &udp_size,
                                     &head, &head_size, &head_length, &icmp, &icmpv6, &links, &link_size, &seed))
        return NULL;
    if (tcp_size != SIEVE_PORT_BYTES || udp_size != SIEVE_PORT_BYTES || head_size != SIEVE_HEAD_BYTES ||
        head_length > SIEVE_HEAD_MAX) {
        PyErr_SetString(PyExc_ValueError, "port sets of 8192 bytes, a head of 256 bytes and at most 8 places");
        return NULL;
    }
    struct link_row rows[SIEVE_LINKS_MAX]; /* bytes may begin anywhere */
    const size_t count = (size_t)link_size / sizeof *rows;
    if ((size_t)link_size > sizeof rows || (size_t)link_size % sizeof *rows != 0 ||
        (memcpy(rows, links, (size_t)link_size), !sieve_takes(rows, count))) {
        PyErr_SetString(PyExc_ValueError, "a table of link types that the sieve cannot read");
        return NULL;
    }
    const struct interest interest = {
        .tcp_ports = (const uint8_t *)tcp_ports,
        .udp_ports = (const uint8_t *)udp_ports,
        .head = (const uint8_t *)head,
        .head_length = head_length,
        .icmp = icmp,
        .icmpv6 = icmpv6,
        .links = rows,
        .link_count = count,
    };
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Sieve *self = (Sieve *)allocate(type, 0);
    if (self == NULL)
        return NULL;
    self->sieve = sieve_new(&interest, seed);
    if (self->sieve == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void sieve_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    sieve_free(((Sieve *)self)->sieve);
    Py_XDECREF(((Sieve *)self)->layout);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static bool is_key(Py_ssize_t size)
{
    if (size == 2 * 4 + 4 || size == 2 * 16 + 4)
        return true;
    PyErr_SetString(PyExc_ValueError, "a key is two addresses and two ports");
    return false;
}

typedef void (*Change)(struct sieve *sieve, const uint8_t *key, size_t length);

static PyObject *change(Sieve *self, PyObject *args, Change apply)
{
    const char *keys[2];
    Py_ssize_t sizes[2];
    if (!PyArg_ParseTuple(args, "y#y#", &keys[0], &sizes[0], &keys[1], &sizes[1]) || !is_free(self))
        return NULL;
    for (int each = 0; each < 2; each++) {
        if (!is_key(sizes[each]))
            return NULL;
    }
    for (int each = 0; each < 2; each++)
        apply(self->sieve, (const uint8_t *)keys[each], (size_t)sizes[each]);
    Py_RETURN_NONE;
}

static PyObject *sieve_watch_keys(PyObject *self, PyObject *args)
{
    return change((Sieve *)self, args, sieve_watch);
}

static PyObject *sieve_unwatch_keys(PyObject *self, PyObject *args)
{
    return change((Sieve *)self, args, sieve_unwatch);
}

static PyObject *slot(PyObject *object, PyObject *args)
{
    const char *key;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "y#", &key, &size) || !is_key(size))
        return NULL;
    return PyLong_FromSize_t(sieve_slot(((Sieve *)object)->sieve, (const uint8_t *)key, (size_t)size));
}

static PyObject *take_seen(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Sieve *self = (Sieve *)object;
    if (!is_free(self))
        return NULL;
    if (!sieve_remember(self->sieve))
        return PyErr_NoMemory();
    uint8_t *seen = sieve_seen(self->sieve);
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)seen, SIEVE_SEEN_BYTES);
    if (bytes != NULL)
        memset(seen, 0, SIEVE_SEEN_BYTES);
    return bytes;
}

/* The buffers of one walk: what is read, and where it is counted. */
typedef struct {
    Py_buffer data, tallies;
    size_t pos, end, interfaces;
} Walk;

/* True once both buffers are held and `pos` and `end` are known to lie inside of the first. */
static bool begin_walk(Sieve *self, Walk *walk, PyObject *data, Py_ssize_t pos, Py_ssize_t end, PyObject *tallies)
{
    if (!is_free(self) || PyObject_GetBuffer(data, &walk->data, PyBUF_SIMPLE) < 0)
        return false;
    if (PyObject_GetBuffer(tallies, &walk->tallies, PyBUF_WRITABLE) < 0) {
        PyBuffer_Release(&walk->data);
        return false;
    }
    /* Where nothing is in it, a bytearray may begin anywhere, and in some versions of Python does. */
    const bool is_aligned = walk->tallies.len == 0 || (uintptr_t)walk->tallies.buf % sizeof(uint64_t) == 0;
    if (pos < 0 || end < pos || end > walk->data.len || walk->tallies.len % (Py_ssize_t)sizeof(struct tally) != 0 ||
        !is_aligned) {
        PyErr_SetString(PyExc_ValueError, "a walk outside of its buffer");
        PyBuffer_Release(&walk->data);
        PyBuffer_Release(&walk->tallies);
        return false;
    }
    walk->pos = (size_t)pos;
    walk->end = (size_t)end;
    walk->interfaces = (size_t)walk->tallies.len / sizeof(struct tally);
    self->walking = true;
    return true;
}

static void end_walk(Sieve *self, Walk *walk)
{
    self->walking = false;
    PyBuffer_Release(&walk->data);
    PyBuffer_Release(&walk->tallies);
}

/* Taking a tuple apart takes longer than the rest of a call, of which there is one for each packet that may matter. */
static bool read_layout(Sieve *self, PyObject *layout)
{
    int big_endian, swapped, maybe_swapped;
    unsigned int header, unit, limit;
    if (layout == self->layout)
        return true;
    if (!PyArg_ParseTuple(layout, "pppIII", &big_endian, &swapped, &maybe_swapped, &header, &unit, &limit))
        return false;
    PyObject *before = self->layout;
    Py_INCREF(layout);
    self->layout = layout;
    self->pcap = (struct pcap_layout){big_endian, swapped, maybe_swapped, header, unit, limit};
    Py_XDECREF(before);
    return true;
}

static PyObject *walk_pcap(PyObject *object, PyObject *args)
{
    Sieve *self = (Sieve *)object;
    PyObject *data, *tallies, *layout;
    Py_ssize_t pos, end;
    Walk walk;
    if (!PyArg_ParseTuple(args, "OnnOO!", &data, &pos, &end, &tallies, &PyTuple_Type, &layout) ||
        !read_layout(self, layout) || !begin_walk(self, &walk, data, pos, end, tallies))
        return NULL;
    const struct pcap_layout pcap = self->pcap;
    if (walk.interfaces != 1 || pcap.header < 16) {
        end_walk(self, &walk);
        PyErr_SetString(PyExc_ValueError, "a pcap file has one interface and records with a header");
        return NULL;
    }
    struct tally *tally = walk.tallies.buf;
    const uint64_t before = tally->packets;
    Py_BEGIN_ALLOW_THREADS
    walk.pos = sieve_pcap(self->sieve, &pcap, walk.data.buf, walk.pos, walk.end, tally);
    Py_END_ALLOW_THREADS
    const uint64_t passed = tally->packets - before;
    end_walk(self, &walk);
    return Py_BuildValue("nK", (Py_ssize_t)walk.pos, (unsigned long long)passed);
}

enum {
    COLUMNS = 17,     /* fields of a Segment (decode/packet.py) */
    MOST_ROWS = 1024, /* that one call decodes: the caller is to get to see them */
    TCP = 6,
};

/* What all rows of one call share. */
typedef struct {
    PyObject *file; /* number of the file */
    PyTypeObject *type; /* a tuple of so many columns: Segment */
    newfunc create;     /* of tuples */
    PyObject *list; /* that the rows go to */
    PyObject *zero, *nothing; /* 0 and () */
    unsigned long long frame; /* number of the last record */
} Rows;

static bool begin_rows(Rows *rows)
{
    if (!PyList_Check(rows->list) || !PyType_IsSubtype(rows->type, &PyTuple_Type)) {
        PyErr_SetString(PyExc_TypeError, "rows are tuples and go to a list");
        return false;
    }
    rows->create = (newfunc)PyType_GetSlot(&PyTuple_Type, Py_tp_new);
    rows->zero = PyLong_FromLong(0);
    rows->nothing = PyTuple_New(0);
    return rows->create != NULL && rows->zero != NULL && rows->nothing != NULL;
}

static void end_rows(Rows *rows)
{
    Py_XDECREF(rows->zero);
    Py_XDECREF(rows->nothing);
}

/* Append a decoded packet; false with an exception set where that fails. */
static bool add_row(const Rows *rows, const uint8_t *data, const struct plain *plain, long long ts)
{
    const char *packet = (const char *)data;
    PyObject *frame = PyLong_FromUnsignedLongLong(rows->frame);
    PyObject *frames = frame == NULL ? NULL : PyTuple_Pack(1, frame);
    Py_XDECREF(frame);
    PyObject *columns[COLUMNS] = {
        PyLong_FromLongLong(ts),
        Py_NewRef(rows->file),
        frames,
        PyBytes_FromStringAndSize(packet + plain->src, (Py_ssize_t)plain->address_size),
        PyBytes_FromStringAndSize(packet + plain->dst, (Py_ssize_t)plain->address_size),
        PyLong_FromLong(plain->sport),
        PyLong_FromLong(plain->dport),
        PyLong_FromLong(plain->flags),
        PyLong_FromUnsignedLong(plain->seq),
        PyLong_FromUnsignedLong(plain->ack),
        PyLong_FromLong(plain->ident),
        PyLong_FromLong(plain->checksum),
        PyBytes_FromStringAndSize(packet + plain->payload, (Py_ssize_t)plain->payload_size),
        Py_NewRef(rows->zero),
        PyBytes_FromStringAndSize(packet + plain->mac, 6),
        Py_NewRef(rows->nothing),
        PyLong_FromLong(plain->protocol),
    };
    PyObject *row = PyTuple_New(COLUMNS);
    bool failed = row == NULL;
    for (int at = 0; at < COLUMNS; at++) {
        failed = failed || columns[at] == NULL;
        if (row == NULL)
            Py_XDECREF(columns[at]);
        else if (columns[at] != NULL)
            PyTuple_SetItem(row, at, columns[at]); /* takes it over */
    }
    /* As tuple.__new__(Segment, row): what else a tuple holds than its items differs from version to version. */
    PyObject *args = failed ? NULL : PyTuple_Pack(1, row);
    PyObject *segment = args == NULL ? NULL : rows->create(rows->type, args, NULL);
    Py_XDECREF(args);
    Py_XDECREF(row);
    failed = segment == NULL || PyList_Append(rows->list, segment) < 0;
    Py_XDECREF(segment);
    return !failed;
}

/* True for a plain packet that is wanted whatever its conversation is. */
static bool is_taken(const Sieve *self, uint64_t linktype, const struct record *record, struct plain *plain)
{
    if (!sieve_is_ethernet(self->sieve, linktype) || !decode_plain(record->packet, record->size, plain))
        return false;
    bool (*wants)(const struct sieve *, uint16_t) =
        plain->protocol == TCP ? sieve_wants_tcp_port : sieve_wants_udp_port;
    return wants(self->sieve, plain->sport) || wants(self->sieve, plain->dport);
}

/* Decode the packets from here on that can be, and return how many; -1 with an exception set where one
 * could not be made. Nothing is passed over between them: what comes before it, of other files as well, may yet tell
 * which conversations are watched. */
static int take_pcap_records(const Sieve *self, Walk *walk, const struct pcap_layout *layout, Rows *rows)
{
    struct tally *tally = walk->tallies.buf;
    struct record record;
    struct plain plain;
    int taken = 0;
    while (taken < MOST_ROWS && decode_pcap_record(layout, walk->data.buf, walk->pos, walk->end, &record) &&
           is_taken(self, tally->linktype, &record, &plain)) {
        sieve_count(tally, record.stamp);
        rows->frame++;
        walk->pos = record.next;
        taken++;
        if (!add_row(rows, record.packet, &plain, (long long)record.stamp))
            return -1;
    }
    return taken;
}

static PyObject *take_pcap(PyObject *object, PyObject *args)
{
    Sieve *self = (Sieve *)object;
    PyObject *data, *tallies;
    Py_ssize_t pos, end;
    int big_endian, swapped, maybe_swapped;
    unsigned int header, unit, limit;
    Rows rows = {0};
    if (!PyArg_ParseTuple(args, "OnnO(pppIII)K(OO!O)", &data, &pos, &end, &tallies, &big_endian, &swapped,
                          &maybe_swapped, &header, &unit, &limit, &rows.frame, &rows.file, &PyType_Type, &rows.type,
                          &rows.list))
        return NULL;
    const struct pcap_layout layout = {big_endian, swapped, maybe_swapped, header, unit, limit};
    Walk walk;
    if (!begin_walk(self, &walk, data, pos, end, tallies))
        return NULL;
    if (walk.interfaces != 1 || header < 16) {
        end_walk(self, &walk);
        PyErr_SetString(PyExc_ValueError, "a pcap file has one interface and records with a header");
        return NULL;
    }
    int taken = begin_rows(&rows) ? take_pcap_records(self, &walk, &layout, &rows) : -1;
    if (taken == 0) {
        struct tally *tally = walk.tallies.buf;
        const uint64_t before = tally->packets;
        Py_BEGIN_ALLOW_THREADS
        walk.pos = sieve_pcap(self->sieve, &layout, walk.data.buf, walk.pos, walk.end, tally);
        Py_END_ALLOW_THREADS
        rows.frame += tally->packets - before;
        taken = take_pcap_records(self, &walk, &layout, &rows);
    }
    end_rows(&rows);
    end_walk(self, &walk);
    return taken >= 0 ? Py_BuildValue("nK", (Py_ssize_t)walk.pos, rows.frame) : NULL;
}

/* How an interface tells the time. */
typedef struct {
    uint64_t unit;  /* nanoseconds; 0 where that is no whole number */
    int64_t offset; /* nanoseconds */
} Clock;

/* False where the time of a record is better left to Python, whose numbers have no end. */
static bool tell(const Clock *clock, uint64_t stamp, long long *ts)
{
    if (clock->unit == 0 || stamp > (uint64_t)(INT64_MAX / 4) / clock->unit || clock->offset > INT64_MAX / 4 ||
        clock->offset < -(INT64_MAX / 4))
        return false;
    *ts = (long long)(stamp * clock->unit) + (long long)clock->offset;
    return true;
}

static int take_pcapng_records(const Sieve *self, Walk *walk, const struct pcapng_layout *layout, const char *clocks,
                               Rows *rows, struct passed *passed)
{
    struct tally *tallies = walk->tallies.buf;
    struct record record;
    struct plain plain;
    int taken = 0;
    while (taken < MOST_ROWS &&
           decode_pcapng_record(layout, walk->data.buf, walk->pos, walk->end, walk->interfaces, &record) &&
           is_taken(self, tallies[record.interface].linktype, &record, &plain)) {
        Clock clock;
        long long ts;
        memcpy(&clock, clocks + record.interface * sizeof clock, sizeof clock); /* bytes may begin anywhere */
        if (!tell(&clock, record.stamp, &ts))
            break;
        sieve_count(&tallies[record.interface], record.stamp);
        rows->frame++;
        passed->packets++;
        passed->interface = record.interface;
        passed->stamp = record.stamp;
        walk->pos = record.next;
        taken++;
        if (!add_row(rows, record.packet, &plain, ts))
            return -1;
    }
    return taken;
}

static PyObject *take_pcapng(PyObject *object, PyObject *args)
{
    Sieve *self = (Sieve *)object;
    PyObject *data, *tallies;
    Py_ssize_t pos, end, clock_size;
    int big_endian;
    unsigned int block_limit, record_limit;
    const char *clocks;
    Rows rows = {0};
    if (!PyArg_ParseTuple(args, "OnnO(pII)y#K(OO!O)", &data, &pos, &end, &tallies, &big_endian, &block_limit,
                          &record_limit, &clocks, &clock_size, &rows.frame, &rows.file, &PyType_Type, &rows.type,
                          &rows.list))
        return NULL;
    const struct pcapng_layout layout = {big_endian, block_limit, record_limit};
    struct passed passed = {0, 0, 0};
    Walk walk;
    if (!begin_walk(self, &walk, data, pos, end, tallies))
        return NULL;
    if ((size_t)clock_size != walk.interfaces * sizeof(Clock)) {
        end_walk(self, &walk);
        PyErr_SetString(PyExc_ValueError, "each interface has a clock");
        return NULL;
    }
    int taken = begin_rows(&rows) ? take_pcapng_records(self, &walk, &layout, clocks, &rows, &passed) : -1;
    if (taken == 0) {
        Py_BEGIN_ALLOW_THREADS
        walk.pos = sieve_pcapng(self->sieve, &layout, walk.data.buf, walk.pos, walk.end, walk.tallies.buf,
                                walk.interfaces, &passed);
        Py_END_ALLOW_THREADS
        rows.frame += passed.packets;
        taken = take_pcapng_records(self, &walk, &layout, clocks, &rows, &passed);
    }
    end_rows(&rows);
    end_walk(self, &walk);
    return taken >= 0 ? Py_BuildValue("nKIK", (Py_ssize_t)walk.pos, (unsigned long long)passed.packets,
                                (unsigned int)passed.interface, (unsigned long long)passed.stamp)
                : NULL;
}

static PyObject *walk_pcapng(PyObject *object, PyObject *args)
{
    Sieve *self = (Sieve *)object;
    PyObject *data, *tallies;
    Py_ssize_t pos, end;
    int big_endian;
    unsigned int block_limit, record_limit;
    if (!PyArg_ParseTuple(args, "OnnO(pII)", &data, &pos, &end, &tallies, &big_endian, &block_limit, &record_limit))
        return NULL;
    const struct pcapng_layout layout = {big_endian, block_limit, record_limit};
    struct passed passed = {0, 0, 0};
    Walk walk;
    if (!begin_walk(self, &walk, data, pos, end, tallies))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    walk.pos = sieve_pcapng(self->sieve, &layout, walk.data.buf, walk.pos, walk.end, walk.tallies.buf, walk.interfaces,
                            &passed);
    Py_END_ALLOW_THREADS
    end_walk(self, &walk);
    return Py_BuildValue("nKIK", (Py_ssize_t)walk.pos, (unsigned long long)passed.packets, (unsigned int)passed.interface,
                         (unsigned long long)passed.stamp);
}

static PyObject *wants(PyObject *object, PyObject *args)
{
    Sieve *self = (Sieve *)object;
    const char *packet;
    Py_ssize_t size;
    unsigned int linktype, wirelen;
    if (!PyArg_ParseTuple(args, "Iy#I", &linktype, &packet, &size, &wirelen) || !is_free(self))
        return NULL;
    return PyBool_FromLong(sieve_wants(self->sieve, linktype, (const uint8_t *)packet, (size_t)size, wirelen));
}

static PyMethodDef sieve_methods[] = {
    {"watch", sieve_watch_keys, METH_VARARGS,
     PyDoc_STR("watch(key, reverse): keep both directions of a conversation from now on.")},
    {"unwatch", sieve_unwatch_keys, METH_VARARGS,
     PyDoc_STR("unwatch(key, reverse): take back one call of `watch`.")},
    {"slot", slot, METH_VARARGS,
     PyDoc_STR("slot(key): the bit of a conversation's direction in what `seen` gives.")},
    {"seen", take_seen, METH_NOARGS,
     PyDoc_STR("seen(): of which conversations segments were passed over since the last call; from the first call on.")},
    {"wants", wants, METH_VARARGS,
     PyDoc_STR("wants(linktype, packet, wirelen): whether a packet has to be looked at.")},
    {"pcap", walk_pcap, METH_VARARGS,
     PyDoc_STR("pcap(data, pos, end, tally, layout)\n"
               "-> position of the first record that is left to the caller, packets passed over.")},
    {"take_pcap", take_pcap, METH_VARARGS,
     PyDoc_STR("take_pcap(data, pos, end, tally, layout, frame, (file, type, rows)): as `pcap`, but decode what is plain\n"
               "-> position of the first record that is left to the caller, number of the record before it.")},
    {"take_pcapng", take_pcapng, METH_VARARGS,
     PyDoc_STR("take_pcapng(data, pos, end, tallies, layout, clocks, frame, (file, type, rows)): as `pcapng`, but decode\n"
               "what is plain -> as `pcapng`, packets that were decoded among those that were passed over.")},
    {"pcapng", walk_pcapng, METH_VARARGS,
     PyDoc_STR("pcapng(data, pos, end, tallies, layout)\n"
               "-> position of the first block that is left to the caller, packets passed over, interface and stamp of\n"
               "the last of them.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot sieve_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("Passes over the packets of a capture that cannot matter; see sieve.h.")},
    {Py_tp_new, (void *)sieve_create},
    {Py_tp_dealloc, (void *)sieve_dealloc},
    {Py_tp_methods, sieve_methods},
    {0, NULL},
};

static PyType_Spec sieve_spec = {
    .name = "amtdiag.capture.prefilter._kernel.Sieve",
    .basicsize = sizeof(Sieve),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = sieve_slots,
};

static int fill_module(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &sieve_spec, NULL);
    if (type == NULL)
        return -1;
    int failed = PyModule_AddObjectRef(module, "Sieve", type);
    Py_DECREF(type);
    if (failed < 0)
        return -1;
    return 0;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)fill_module},
    {0, NULL},
};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "amtdiag.capture.prefilter._kernel",
    .m_doc = PyDoc_STR("The compiled part of the scan."),
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__kernel(void);

PyMODINIT_FUNC PyInit__kernel(void)
{
    return PyModuleDef_Init(&module_definition);
}
