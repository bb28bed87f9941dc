"""What is printed on drawn cards: labels in several languages, and what people write into the other fields."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """One language's labels."""

    title: str
    vin: tuple[str, ...]
    engine: str
    plate: str
    date: str
    mileage: str
    owner: str
    make: str
    colour: str
    notes: str
    signature: str


LANGUAGES = (
    Words(
        "VEHICLE RECORD CARD",
        ("Vehicle Identification Number (VIN)", "VIN", "Chassis No. / VIN", "17-digit vehicle identification number"),
        "Engine number",
        "Registration plate",
        "Date of first registration",
        "Odometer",
        "Owner's name and address",
        "Make / model",
        "Colour",
        "Complete in block capitals, one character to a box. Keep this card with the vehicle documents.",
        "Signature",
    ),
    Words(
        "Fahrzeugkarte",
        ("Fahrzeug-Identifizierungsnummer (FIN)", "FIN", "Fahrgestell-Nr.", "E  Fahrzeug-Ident.-Nr."),
        "Motornummer",
        "Amtliches Kennzeichen",
        "Datum der Erstzulassung",
        "Kilometerstand",
        "Halter, Anschrift",
        "Marke / Typ",
        "Farbe",
        "Bitte in Blockschrift ausfüllen, ein Zeichen je Kästchen. Änderungen sind unverzüglich zu melden.",
        "Unterschrift",
    ),
    Words(
        "FICHE VÉHICULE",
        ("Numéro d'identification du véhicule (VIN)", "N° de série", "E. Numéro VIN", "N° de châssis"),
        "Numéro de moteur",
        "Immatriculation",
        "Date de 1re mise en circulation",
        "Kilométrage",
        "Nom et adresse du titulaire",
        "Marque / modèle",
        "Couleur",
        "Écrire en majuscules, un caractère par case. À conserver avec les papiers du véhicule.",
        "Signature",
    ),
    Words(
        "Ficha del vehículo",
        ("Número de identificación del vehículo (VIN)", "Nº de bastidor", "VIN"),
        "Número de motor",
        "Matrícula",
        "Fecha de matriculación",
        "Kilometraje",
        "Titular y domicilio",
        "Marca / modelo",
        "Color",
        "Rellene en mayúsculas, un carácter por casilla. Consérvese con la documentación del vehículo.",
        "Firma",
    ),
    Words(
        "KARTA POJAZDU",
        ("Numer identyfikacyjny pojazdu (VIN)", "Nr VIN / nr nadwozia", "VIN"),
        "Numer silnika",
        "Numer rejestracyjny",
        "Data pierwszej rejestracji",
        "Przebieg",
        "Właściciel, adres",
        "Marka / model",
        "Kolor",
        "Wypełniać drukowanymi literami, jeden znak w kratce. Zachować razem z dokumentami pojazdu.",
        "Podpis",
    ),
    Words(
        "Учётная карточка ТС",
        ("Идентификационный номер (VIN)", "VIN", "Номер кузова (VIN)"),
        "Номер двигателя",
        "Государственный номер",
        "Дата регистрации",
        "Пробег, км",
        "Владелец, адрес",
        "Марка, модель",
        "Цвет",
        "Заполнять печатными буквами, по одному знаку в клетке. Хранить вместе с документами.",
        "Подпись",
    ),
    Words(
        "Scheda del veicolo",
        ("Numero di telaio (VIN)", "Numero di identificazione del veicolo", "VIN"),
        "Numero motore",
        "Targa",
        "Data di immatricolazione",
        "Chilometri",
        "Proprietario, indirizzo",
        "Marca / modello",
        "Colore",
        "Compilare in stampatello, un carattere per casella. Conservare con i documenti del veicolo.",
        "Firma",
    ),
    Words(
        "Voertuigkaart",
        ("Voertuigidentificatienummer (VIN)", "Chassisnummer", "VIN"),
        "Motornummer",
        "Kenteken",
        "Datum eerste toelating",
        "Kilometerstand",
        "Eigenaar, adres",
        "Merk / type",
        "Kleur",
        "Invullen in blokletters, één teken per vakje. Bewaren bij de papieren van het voertuig.",
        "Handtekening",
    ),
    Words(
        "FORDONSKORT",
        ("Fordonets identifieringsnummer (VIN)", "Chassinummer", "VIN"),
        "Motornummer",
        "Registreringsnummer",
        "Första registreringsdatum",
        "Mätarställning",
        "Ägare, adress",
        "Fabrikat / typ",
        "Färg",
        "Texta tydligt, ett tecken i varje ruta. Förvaras med fordonets handlingar.",
        "Underskrift",
    ),
    Words(
        "車両カード",
        ("車台番号 (VIN)", "車台番号", "VIN"),
        "原動機番号",
        "登録番号",
        "初度登録年月日",
        "走行距離",
        "所有者の氏名・住所",
        "車名・型式",
        "色",
        "枠内に一文字ずつ、はっきりと記入してください。",
        "署名",
    ),
)

# Handwritten: capitals and digits; what the stroke alphabet lacks, I, O and Q, is written as 1, 0 and 0.
NAMES = (
    "MULLER",
    "SMITH JANE",
    "DUBOIS",
    "KOWALSKI",
    "ROSSI",
    "GARCIA PEREZ",
    "ANDERSSON",
    "VAN DIJK",
    "TANAKA",
    "LEE",
)
STREETS = ("HAUPTSTR 12", "5 MILL LANE", "RUE DU LAC 8", "VIA ROMA 31", "PARK AVE 1407", "KALLVAGEN 3", "UL POLNA 9")
MAKES = ("GOLF TDI", "HILUX 4X4", "MEGANE", "F150 XLT", "PANDA", "V70", "LADA NIVA", "SPRINTER 313", "CR-V", "CORSA B")
COLOURS = ("BLAU", "RED", "GRIS", "WHITE", "SCHWARZ", "VERDE", "SILVER")
